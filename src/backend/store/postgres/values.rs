//! Values and rows, as PostgreSQL has them.

use crate::store::{Row, StoreError, Value};
use std::error::Error;
use std::sync::Arc;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};

pub(super) async fn query(
    client: &Client,
    statement: &Statement,
    values: &[Value],
) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
    let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    client.query(statement, &values).await
}

pub(super) fn read(statement: &Statement, rows: &[tokio_postgres::Row], sql: &str) -> Result<Vec<Row>, StoreError> {
    let columns: Arc<[Box<str>]> = statement.columns().iter().map(|column| column.name().into()).collect();
    let values = |row: &tokio_postgres::Row| (0..row.len()).map(|column| value(row, column, sql)).collect::<Result<_, _>>();
    rows.iter().map(|row| Ok(Row::new(&columns, values(row)?))).collect()
}

fn value(row: &tokio_postgres::Row, column: usize, sql: &str) -> Result<Value, StoreError> {
    let strange = || StoreError::Damaged { what: sql.into(), why: "a strange value".into() };
    row.try_get::<_, Cell>(column).map(|cell| cell.0).map_err(|_| strange())
}

struct Cell(Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(match *kind {
            Type::INT8 => Value::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(kind, raw)?.into()),
            _ => Value::Text(String::from_sql(kind, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Value::Null))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::BOOL | Type::TEXT | Type::VARCHAR)
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut tokio_postgres::types::private::BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(number), &Type::INT4) => i32::try_from(*number)?.to_sql(kind, out),
            (Self::Int(number), _) => number.to_sql(kind, out),
            // PostgreSQL's texts have no NUL. Whoever tells one must not have its report refused for ever.
            (Self::Text(text), _) => text.replace('\0', "\u{fffd}").to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::TEXT | Type::VARCHAR)
    }

    to_sql_checked!();
}
