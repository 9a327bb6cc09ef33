"""What Athena would refuse although DuckDB, which runs the double's queries, takes it: other functions, other types."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from tests.athena.errors import MalformedQuery, QueryFailed, failed
from tests.athena.statement import Statement, place, place_after, place_of

_TRINO = """
abs all_match any_match any_value approx_distinct approx_percentile arbitrary array_agg array_average array_distinct
array_except array_frequency array_has_duplicates array_intersect array_join array_max array_min array_position
array_remove array_sort array_sum array_union arrays_overlap at_timezone avg bit_count bitwise_and bitwise_not
bitwise_or bitwise_xor bool_and bool_or cardinality cast cbrt ceil ceiling chr coalesce codepoint combinations concat
concat_ws contains contains_sequence count count_if crc32 current_timezone date date_add date_diff date_format
date_parse date_trunc day day_of_month day_of_week day_of_year degrees element_at ends_with every exp extract filter
first_value flatten floor format format_datetime from_base from_base32 from_base64 from_base64url from_hex
from_iso8601_date from_iso8601_timestamp from_iso8601_timestamp_nanos from_unixtime from_unixtime_nanos from_utf8
greatest grouping hamming_distance hash hour human_readable_seconds if infinity is_finite is_infinite is_json_scalar
is_nan json_array json_array_contains json_array_get json_array_length json_exists json_extract json_extract_scalar
json_format json_object json_parse json_query json_size json_value lag last_day_of_month last_value lead least length
levenshtein_distance ln localtime localtimestamp log log10 log2 lower lpad ltrim luhn_check map map_agg map_concat
map_entries map_filter map_from_entries map_keys map_values map_zip_with max max_by md5 millisecond min min_by minute
mod month multimap_agg nan ngrams none_match normalize now nth_value ntile nullif parse_datetime parse_duration pi pow
power quarter radians rand random rank reduce regexp_count regexp_extract regexp_extract_all regexp_like
regexp_position regexp_replace regexp_split repeat replace reverse round row row_number rpad rtrim second sequence
sha1 sha256 sha512 shuffle sign slice soundex split split_part split_to_map sqrt starts_with stddev stddev_pop
stddev_samp strpos substr substring sum timezone_hour timezone_minute to_base to_base32 to_base64 to_base64url to_hex
to_ieee754_64 to_iso8601 to_milliseconds to_unixtime to_utf8 transform transform_keys transform_values translate trim
trim_array truncate try try_cast typeof unnest upper url_decode url_encode url_extract_fragment url_extract_host
url_extract_parameter url_extract_path url_extract_port url_extract_protocol url_extract_query uuid value_at_quantile
var_pop var_samp variance week week_of_year width_bucket with_timezone word_stem xxhash64 year year_of_week yow zip
zip_with
"""
FUNCTIONS = frozenset(_TRINO.split())
"""The names of Trino's functions, as far as a query over logs may have them."""

_NOT_CALLED = """
all and any array as between by case char current_date current_time current_timestamp decimal distinct else end except
exists from group having in intersect is join lambda like limit not null offset on or order over partition row select
some then timestamp union using values varchar when where with within
"""
_WORDS = frozenset(_NOT_CALLED.split())
"""Words that a parenthesis may follow without being functions."""

_BEFORE_BRACKETS = {
    TokenType.ARRAY,
    TokenType.VAR,
    TokenType.IDENTIFIER,
    TokenType.R_PAREN,
    TokenType.R_BRACKET,
}
_FAMILIES = {
    "text": exp.DataType.TEXT_TYPES,
    "number": exp.DataType.NUMERIC_TYPES,
    "boolean": {exp.DataType.Type.BOOLEAN},
    "time": exp.DataType.TEMPORAL_TYPES,
}
_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_NAMES = {exp.StrPosition: "strpos", exp.RegexpLike: "regexp_like", exp.StartsWith: "starts_with"}
_OF_TEXT = (exp.Lower, exp.Upper, exp.RegexpLike, exp.StartsWith, exp.StrPosition)


def check_words(statement: Statement) -> None:
    """Raises MalformedQuery or QueryFailed for words that are not Athena's."""
    tokens = statement.tokens
    for number, token in enumerate(tokens):
        if token.token_type is TokenType.DCOLON:
            raise MalformedQuery(f"{place(token)}mismatched input ':'")
        before = tokens[number - 1].token_type if number else None
        if token.token_type is TokenType.L_BRACKET and before not in _BEFORE_BRACKETS:
            raise MalformedQuery(f"{place(token)}mismatched input '['")
        name = token.text.lower()
        if _called(tokens, number) and name not in FUNCTIONS | _WORDS and not _names_columns(tokens, number):
            raise failed("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", place=place(token))


def _called(tokens: Sequence[Token], number: int) -> bool:
    """Whether a word is followed by a parenthesis."""
    token, after = tokens[number], tokens[number + 1 : number + 2]
    quoted = token.token_type in (TokenType.IDENTIFIER, TokenType.STRING)
    return not quoted and token.text.isidentifier() and [each.text for each in after] == ["("]


def _names_columns(tokens: Sequence[Token], number: int) -> bool:
    """Whether what follows a name in parentheses are its columns: `AS t (a)`, `unnest(x) t (a)`, `WITH t (a) AS (`."""
    before = tokens[number - 1].text.lower() if number else ""
    if before in ("as", ")"):
        return True
    closing = next((n for n in range(number, len(tokens)) if tokens[n].token_type is TokenType.R_PAREN), number)
    follow = [token.text.lower() for token in tokens[closing + 1 : closing + 3]]
    return before in ("with", ",") and follow == ["as", "("]


def check_types(statement: Statement, select: exp.Query) -> None:
    """Raises QueryFailed where types meet that Athena does not bring together, and DuckDB does."""
    for node in select.find_all(*_COMPARISONS, exp.In, exp.Between, exp.Like, *_OF_TEXT):
        others = _others(node)
        if len({_family(each) for each in (node.this, *others)} - {None}) > 1:
            raise _mismatched(statement, node, others)
        if isinstance(node, (exp.Like, *_OF_TEXT)) and _family(node.this) not in (None, "text"):
            raise _not_text(statement, node)


def _others(node: exp.Expression) -> list[exp.Expression]:
    """What a value is compared with."""
    if isinstance(node, exp.In):
        return list(node.expressions)
    if isinstance(node, exp.Between):
        return [node.args["low"], node.args["high"]]
    return [node.expression] if type(node) in _COMPARISONS else []


def _mismatched(statement: Statement, node: exp.Expression, others: list[exp.Expression]) -> QueryFailed:
    value, *rest = (_said(each) for each in (node.this, *others))
    sign = _COMPARISONS.get(type(node), "")
    words, message = [sign, "!="], f"Cannot apply operator: {value} {sign} {rest[0]}"
    if isinstance(node, exp.Between):
        words, message = ["BETWEEN"], f"Cannot check if {value} is BETWEEN {rest[0]} and {rest[1]}"
    if isinstance(node, exp.In):
        kinds = list(dict.fromkeys((value, *rest)))
        words = ["IN"]
        message = (
            "IN value and list items must be the same type or coercible to a common type. Cannot find common type "
            f"between {kinds[0]} and {kinds[1]}, all types (without duplicates): [{', '.join(kinds)}]"
        )
    named = node.find(exp.Column)
    return failed("TYPE_MISMATCH", message, place=place_after(statement, named.name if named else "", words))


def _not_text(statement: Statement, node: exp.Expression) -> QueryFailed:
    given = _said(node.this)
    if isinstance(node, exp.Like):
        message = f"Left side of LIKE expression must evaluate to a varchar (actual: {given})"
        return failed("TYPE_MISMATCH", message, place=place_of(statement, "LIKE"))
    name = _NAMES.get(type(node), node.sql_name().lower())
    message = f"Unexpected parameters ({given}) for function {name}"
    return failed("FUNCTION_NOT_FOUND", message, place=place_of(statement, name))


def _family(node: exp.Expression) -> str | None:
    """What the values are, where that is known."""
    kind = node.type
    return next((name for name, types in _FAMILIES.items() if kind is not None and kind.this in types), None)


def _said(node: exp.Expression) -> str:
    if isinstance(node, exp.Literal) and node.is_string:
        return f"varchar({len(node.name)})"
    return node.type.sql("athena").lower() if node.type is not None else "unknown"
