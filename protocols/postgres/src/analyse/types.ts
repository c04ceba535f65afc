import type { Effect } from '@sallyport/policy'

/** What the analyser may ask about the target's database. Pure look-ups over a snapshot; no I/O. */
export interface Catalog {
  /** False for the offline catalog of policy tests: unknown names are then taken to be in `public`. */
  readonly complete: boolean
  hasSchema(schema: string): boolean
  relation(schema: string, name: string): Relation | undefined
  relationByOid(oid: number): Relation | undefined
  /** By canonical name, as in {@link Relation.parents}. */
  relationNamed(canonical: string): Relation | undefined
  /** All overloads of this name in this schema. */
  functions(schema: string, name: string): readonly FunctionInfo[]
  /** User-defined operators of this name (any schema but pg_catalog): each runs a function. */
  operators(name: string): readonly OperatorInfo[]
  /** A user-defined type or domain (not pg_catalog). */
  type(schema: string, name: string): TypeInfo | undefined
  /** The search_path under which pg_get_viewdef printed the definitions; names visible in it are printed without a schema. */
  readonly definitionPath?: readonly string[] | undefined
}

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly kind: 'table' | 'view' | 'matview' | 'sequence' | 'foreign' | 'partitioned' | 'index' | 'composite' | 'other'
  /** Live columns by attribute number order. */
  readonly columns: readonly Column[]
  /** SELECT text of a view or materialized view, from pg_get_viewdef. */
  readonly definition?: string
  /** Canonical names (`schema.table`) of partitions or inheriting tables, and of parents; direct ones. */
  readonly children: readonly string[]
  readonly parents: readonly string[]
  /** Functions run by enabled user triggers, canonical (`public.f`), with the events. */
  readonly triggers: readonly { readonly function: string; readonly events: readonly ('insert' | 'update' | 'delete' | 'truncate')[] }[]
  /** Tables changed by ON DELETE/UPDATE CASCADE, SET NULL, SET DEFAULT of foreign keys that point here. */
  readonly cascades: readonly { readonly table: string; readonly on: 'delete' | 'update'; readonly action: 'delete' | 'update' }[]
  /** Tables with a foreign key to this one, whatever its actions: TRUNCATE … CASCADE empties them. */
  readonly referencedBy?: readonly string[]
  /** Has rewrite rules other than a view's own. */
  readonly hasRules: boolean
}

export interface Column {
  readonly name: string
  /** pg_attribute.attnum. */
  readonly number: number
  /** Function called in a generated column or default, canonical; for writes. */
  readonly calls?: readonly string[]
}

export interface FunctionInfo {
  readonly schema: string
  readonly name: string
  readonly volatile: 'i' | 's' | 'v'
  readonly returnsSet: boolean
}

export interface OperatorInfo {
  readonly schema: string
  readonly name: string
  /** Canonical function it runs. */
  readonly function: string
}

export interface TypeInfo {
  readonly schema: string
  readonly name: string
  readonly kind: 'enum' | 'domain' | 'composite' | 'range' | 'base'
  /** Functions called by a domain's CHECK. */
  readonly calls: readonly string[]
}

/** What the connection has done so far that changes how names are resolved. A value; the engine replaces it. */
export interface NameContext {
  /**
   * As the server would list it, `$user` already replaced and schemas that don't exist left out; pg_temp and pg_catalog
   * implied as the server does.
   */
  readonly searchPath: readonly string[]
  readonly currentUser: string
  readonly database: string
  /** This session's temporary schema (`pg_temp_3`), once it has one. */
  readonly tempSchema?: string
  /**
   * This session's temporary relations, schema `pg_temp`. They stand here and not in the catalog, which sessions share: one
   * session's must never shadow another's tables.
   */
  readonly temporary?: readonly Relation[]
  /** SQL-level PREPARE. */
  readonly prepared: ReadonlyMap<string, PreparedStatement>
  /** Open SQL cursors by name. */
  readonly cursors: ReadonlyMap<string, CursorInfo>
  /**
   * True when no transaction is open, or nothing that names depend on was changed in it: then COMMIT and ROLLBACK undo nothing,
   * and a statement after one of them in the same text can be analysed.
   */
  readonly transactionClean?: boolean
}

export interface PreparedStatement {
  readonly analysis: StatementAnalysis
}

export interface CursorInfo {
  /** WITH HOLD: outlives the transaction. */
  readonly hold?: true
  readonly effects: readonly Effect[]
  /** What its query reads, as in {@link StatementAnalysis}. */
  readonly reads: readonly string[]
  readonly output: Output
}

/** Analysis of one query string; 0 statements for an empty query. */
export interface Analysis {
  readonly statements: readonly StatementAnalysis[]
}

export interface StatementAnalysis {
  /** The statement's own text. */
  readonly text: string
  /** Parse tree's node name: `SelectStmt`, `DropStmt`. */
  readonly node: string
  readonly effects: readonly Effect[]
  readonly output: Output
  /**
   * Canonical `schema.table.column` of every column that the statement reads anywhere (outputs, predicates, sort,
   * expressions). For error masking and predicate audit. `schema.table.*` when the columns aren't known.
   */
  readonly reads: readonly string[]
  /**
   * Canonical columns of every table whose rows the statement writes, checks or computes something for. For error masking only:
   * `Failing row contains (…)` quotes all of a row.
   */
  readonly rows: readonly string[]
  /**
   * Values that the statement stores: where each comes from, and the column that takes it. INSERT, UPDATE, MERGE,
   * SELECT INTO, CREATE TABLE AS, CREATE MATERIALIZED VIEW; empty when nothing that was read is stored.
   */
  readonly stores: readonly StoredValue[]
  /** What running it changes for later statements. */
  readonly changes: readonly StateChange[]
  /** Set for COPY … TO STDOUT / FROM STDIN. */
  readonly copy?: CopyInfo
  /** May run in a transaction that has already failed: COMMIT, ROLLBACK, ROLLBACK TO. */
  readonly endsTransaction: boolean
}

/** Lineage of the result's columns, in order. `unknown` when the shape can't be told from the text (mask when unsure). */
export type Output =
  { readonly kind: 'none' } | { readonly kind: 'unknown' } | { readonly kind: 'columns'; readonly columns: readonly OutputColumn[] }

export interface OutputColumn {
  readonly name: string
  /** Canonical base columns that the value comes from, views and CTEs seen through. */
  readonly sources: readonly string[]
  /** True when the value is exactly one source column's value (passed through, maybe renamed). */
  readonly direct: boolean
}

export interface StoredValue {
  /** Canonical source columns. */
  readonly sources: readonly string[]
  /** Canonical column that takes the value; absent when it is new (CREATE TABLE AS) or not known. */
  readonly into?: string
}

export interface CopyInfo {
  readonly direction: 'in' | 'out'
  readonly format: 'text' | 'csv' | 'binary'
  readonly delimiter: string
  readonly quote: string
  readonly escape: string
  readonly null: string
  readonly header: boolean
  /** The file's ENCODING option, lower case, if given. */
  readonly encoding?: string
}

export type StateChange =
  | { readonly kind: 'search_path'; readonly value: readonly string[] | 'unknown' }
  /** DDL: the snapshot of the catalog is stale once it ran. */
  | { readonly kind: 'catalog' }
  | { readonly kind: 'prepare'; readonly name: string; readonly statement: PreparedStatement }
  | { readonly kind: 'deallocate'; readonly name: string | 'all' }
  | { readonly kind: 'cursor'; readonly name: string; readonly cursor: CursorInfo }
  | { readonly kind: 'close_cursor'; readonly name: string | 'all' }
  | { readonly kind: 'transaction'; readonly verb: 'begin' | 'commit' | 'rollback' | 'savepoint' | 'release' | 'rollback_to' }
  /** DISCARD ALL, RESET ALL, SET ROLE, SET SESSION AUTHORIZATION, set_config(…) of something unknown: ask the server again. */
  | { readonly kind: 'session_reset' }

/** The text can't be analysed; the statement is denied with this. */
export class AnalysisError extends Error {
  override readonly name = 'AnalysisError'
  constructor(
    /** `unparsable`, `unresolved`, `too_large`, `too_complex`, `guarded_setting`. */
    readonly code: 'unparsable' | 'unresolved' | 'too_large' | 'too_complex' | 'guarded_setting',
    message: string,
    readonly hint: string,
    /** 1-based character position for the client, when known. */
    readonly position?: number,
  ) {
    super(message)
  }
}
