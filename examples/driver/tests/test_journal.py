"""The file format."""

from pathlib import Path

from acme_bkjs_db_jsonfile.journal import Journal


def test_records_are_there_again_after_a_restart(tmp_path: Path) -> None:
    first = Journal(tmp_path / "t.jsonl")
    first.write("1", "one")
    first.write("2", "two")
    first.write("1", None)
    first.close()
    again = Journal(tmp_path / "t.jsonl")
    assert again.records == {"2": "two"}
    again.close()


def test_a_write_is_in_the_file_when_it_counts(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    journal = Journal(path)
    journal.write("1", "one")
    assert path.read_text() == '["1", "one"]\n'
    journal.close()


def test_write_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    first = Journal(path)
    first.write("1", "one")
    first.close()
    path.write_text(path.read_text() + '["2", "tw')
    again = Journal(path)
    assert again.records == {"1": "one"}
    again.write("3", "three")
    again.close()
    last = Journal(path)
    assert last.records == {"1": "one", "3": "three"}
    last.close()


def test_file_keeps_only_what_is_current(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    first = Journal(path)
    for text in ("a", "b", "c"):
        first.write("1", text)
    first.close()
    Journal(path).close()
    assert path.read_text() == '["1", "c"]\n'
