from __future__ import annotations

from bkjs.helpers import format


def test_names_that_xml_does_not_allow_become_ones_that_it_does():
    assert format.to_format("xml", {"a b><c": 1, "9": 2}) == (
        "<row>\n<a_b__c>1</a_b__c>\n<_9>2</_9>\n</row>\n"
    )


def test_csv_columns_are_the_same_in_every_line():
    rows = [{"a": 1}, {"b": 'x"y', "a": 2}]
    assert format.to_format("csv", rows, header=True) == 'a,b\r\n1,\r\n2,"x""y"\r\n'
