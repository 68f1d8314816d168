"""Tables: types of columns, descriptions, stored values, joined columns."""
