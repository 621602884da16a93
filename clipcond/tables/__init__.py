"""Tables as files, by their ending: .csv, .tsv, .jsonl and .parquet, both ways; and .txt with a text a line, to read.

Rows are read one after another, since a file may be larger than memory. A row that does not fit its header, or has no
text where one is wanted, is an error that quotes it. In a .tsv a quote that does not quote a whole value stands for itself. All but Parquet is UTF-8, a byte order mark or none. A line ends at
a line feed (in .csv and .tsv also at a carriage return) and nowhere else: U+2028 and the like belong to the text.
"""

from clipcond.tables.reading import JSON, Column, column_names, read_rows
from clipcond.tables.writing import check_table, write_rows

__all__ = ["JSON", "Column", "check_table", "column_names", "read_rows", "write_rows"]
