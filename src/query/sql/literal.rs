//! Values as literal nodes of a parsed statement.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, Expr, Function, FunctionArguments, Ident, Interval, ObjectName,
    TimezoneInfo, TypedString, UnaryOperator, Value,
};

pub(in crate::query) fn string_literal(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

pub(in crate::query) fn date_literal(date: NaiveDate) -> Expr {
    typed(DataType::Date, date.to_string())
}

pub(in crate::query) fn timestamp_literal(time: DateTime<Utc>) -> Expr {
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, false).replace('T', " ");
    typed(DataType::Timestamp(None, TimezoneInfo::None), text)
}

/// So long before the statement is run.
pub(in crate::query) fn before_now(length: TimeDelta) -> Expr {
    let now = Function {
        name: ObjectName::from(vec![Ident::new("CURRENT_TIMESTAMP")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    };
    let (left, right) = (Box::new(Expr::Function(now)), Box::new(interval_literal(length)));
    Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::Minus, right }))
}

fn typed(data_type: DataType, text: String) -> Expr {
    let value = Value::SingleQuotedString(text).into();
    Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false })
}

pub(in crate::query) fn integer_literal(value: i64) -> Expr {
    number(&value.unsigned_abs().to_string(), value < 0)
}

/// Written with an exponent, so that SQL reads it as a DOUBLE and not as a DECIMAL.
pub(in crate::query) fn double_literal(value: f64) -> Expr {
    number(&format!("{:e}", value.abs()), value.is_sign_negative())
}

fn number(digits: &str, negative: bool) -> Expr {
    let value = Expr::value(Value::Number(digits.to_owned(), false));
    if !negative {
        return value;
    }
    let minus = Expr::UnaryOp { op: UnaryOperator::Minus, expr: Box::new(value) };
    Expr::Nested(Box::new(minus))
}

/// `INTERVAL '5' MINUTE`, in the largest unit that makes it a whole number; parts of a second are cut to milliseconds.
pub(in crate::query) fn interval_literal(interval: TimeDelta) -> Expr {
    let seconds = interval.num_seconds();
    let units = [(86_400, DateTimeField::Day), (3_600, DateTimeField::Hour), (60, DateTimeField::Minute)];
    let whole = interval.subsec_nanos() == 0 && seconds != 0;
    let unit = units.into_iter().find(|(length, _)| whole && seconds % length == 0);
    let (text, field) = match unit {
        Some((length, field)) => ((seconds / length).to_string(), field),
        None if interval.subsec_nanos() == 0 => (seconds.to_string(), DateTimeField::Second),
        None => (format!("{seconds}.{:03}", interval.subsec_nanos() / 1_000_000), DateTimeField::Second),
    };
    Expr::Interval(Interval {
        value: Box::new(string_literal(&text)),
        leading_field: Some(field),
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_written_in_its_largest_unit() {
        for (millis, text) in [
            (0, "INTERVAL '0' SECOND"),
            (250, "INTERVAL '0.250' SECOND"),
            (90_000, "INTERVAL '90' SECOND"),
            (300_000, "INTERVAL '5' MINUTE"),
            (7_200_000, "INTERVAL '2' HOUR"),
            (604_800_000, "INTERVAL '7' DAY"),
        ] {
            assert_eq!(interval_literal(TimeDelta::milliseconds(millis)).to_string(), text);
        }
    }

    #[test]
    fn signs_stand_in_parentheses() {
        assert_eq!(integer_literal(i64::MIN).to_string(), "(-9223372036854775808)");
        assert_eq!(double_literal(-0.5).to_string(), "(-5e-1)");
        assert_eq!(double_literal(252.0).to_string(), "2.52e2");
    }
}
