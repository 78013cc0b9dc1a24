import {
  type DatabaseIntrospector,
  type DatabaseMetadata,
  type Kysely,
  type SchemaMetadata,
  sql,
  type TableMetadata,
} from 'kysely';

interface ColumnRow {
  table: string;
  column: string;
  type: string;
  nullable: string;
  fallback: string | null;
  identity: string;
}

/**
 * Looks at our own schema only. Kysely's own looks at every schema of the database, which other programs change (and
 * drop) meanwhile.
 */
export class SchemaIntrospector implements DatabaseIntrospector {
  constructor(
    // biome-ignore lint/suspicious/noExplicitAny: Kysely's own signature.
    readonly db: Kysely<any>,
    readonly schema: string,
  ) {}

  async getSchemas(): Promise<SchemaMetadata[]> {
    return [{ name: this.schema }];
  }

  async getTables(): Promise<TableMetadata[]> {
    const { rows } = await sql<ColumnRow>`
      select table_name as table, column_name as column, data_type as type, is_nullable as nullable,
             column_default as fallback, is_identity as identity
      from information_schema.columns where table_schema = ${this.schema}
      order by table_name, ordinal_position`.execute(this.db);
    const tables = new Map<string, TableMetadata>();
    for (const row of rows) {
      const table = tables.get(row.table) ?? { name: row.table, schema: this.schema, isView: false, columns: [] };
      tables.set(row.table, table);
      table.columns.push({
        name: row.column,
        dataType: row.type,
        isNullable: row.nullable === 'YES',
        isAutoIncrementing: row.identity === 'YES',
        hasDefaultValue: row.fallback !== null || row.identity === 'YES',
      });
    }
    return [...tables.values()];
  }

  async getMetadata(): Promise<DatabaseMetadata> {
    return { tables: await this.getTables() };
  }
}
