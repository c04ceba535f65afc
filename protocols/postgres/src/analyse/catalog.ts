import { canonical } from './quote.js'
import type { Catalog, Column, FunctionInfo, NameContext, OperatorInfo, Relation, TypeInfo } from './types.js'
import { z } from 'zod'

/* Rows of catalogQueries. They come from the target, which is not trusted to be well-formed. */
const name = z.string()
const names = z.array(z.tuple([name, name]))
const columnList = z.array(z.tuple([name, z.number()])).nullable()
const row = z.union([
  z.tuple([z.literal('m'), z.array(name).nullable(), z.array(name)]),
  z.tuple([z.literal('r'), z.number(), name, name, z.string(), columnList, z.string().nullable(), z.boolean()]),
  z.tuple([z.literal('i'), z.number(), z.number()]),
  z.tuple([z.literal('d'), z.number(), z.number(), names]),
  z.tuple([z.literal('g'), z.number(), name, name, z.number()]),
  z.tuple([z.literal('c'), z.number(), z.number(), z.string(), z.string()]),
  z.tuple([z.literal('f'), name, name, z.enum(['i', 's', 'v']), z.boolean()]),
  z.tuple([z.literal('o'), name, name, name, name]),
  z.tuple([z.literal('t'), name, name, z.string(), names.nullable()]),
])
type Row = z.infer<typeof row>
type RowOf<T extends string> = Extract<Row, readonly [T, ...unknown[]]>

const kinds: Readonly<Record<string, Relation['kind']>> = {
  r: 'table', v: 'view', m: 'matview', p: 'partitioned', f: 'foreign', S: 'sequence', i: 'index', I: 'index', c: 'composite',
}

type Write = Relation['triggers'][number]['events'][number]

/** pg_trigger.tgtype, see pg_trigger.h. */
const triggerBits: readonly (readonly [number, Write])[] = [
  [4, 'insert'],
  [8, 'delete'],
  [16, 'update'],
  [32, 'truncate'],
]

type Draft = { -readonly [K in keyof Relation]: Relation[K] extends readonly (infer E)[] ? E[] : Relation[K] }

/** A snapshot of a target's catalog. Immutable once made; shared by sessions. */
export class SnapshotCatalog implements Catalog {
  readonly complete: boolean = true
  readonly definitionPath: readonly string[]
  readonly #schemas: ReadonlySet<string>
  readonly #bySchema = new Map<string, Map<string, Relation>>()
  readonly #byOid = new Map<number, Relation>()
  readonly #byName = new Map<string, Relation>()
  readonly #functions = new Map<string, FunctionInfo[]>()
  readonly #operators = new Map<string, OperatorInfo[]>()
  readonly #types = new Map<string, TypeInfo>()

  constructor(content: CatalogContent) {
    this.definitionPath = content.definitionPath
    this.#schemas = new Set(content.schemas)
    for (const relation of content.relations) {
      let schema = this.#bySchema.get(relation.schema)
      if (!schema) this.#bySchema.set(relation.schema, (schema = new Map<string, Relation>()))
      schema.set(relation.name, relation)
      this.#byOid.set(relation.oid, relation)
      this.#byName.set(canonical(relation.schema, relation.name), relation)
    }
    for (const info of content.functions) push(this.#functions, canonical(info.schema, info.name), info)
    for (const info of content.operators) push(this.#operators, info.name, info)
    for (const info of content.types) this.#types.set(canonical(info.schema, info.name), info)
  }

  hasSchema(schema: string): boolean {
    return this.#schemas.has(schema)
  }
  relation(schema: string, relation: string): Relation | undefined {
    return this.#bySchema.get(schema)?.get(relation)
  }
  relationByOid(oid: number): Relation | undefined {
    return this.#byOid.get(oid)
  }
  relationNamed(canonicalName: string): Relation | undefined {
    return this.#byName.get(canonicalName)
  }
  functions(schema: string, called: string): readonly FunctionInfo[] {
    return this.#functions.size === 0 ? none : (this.#functions.get(canonical(schema, called)) ?? none)
  }
  operators(symbol: string): readonly OperatorInfo[] {
    return this.#operators.size === 0 ? none : (this.#operators.get(symbol) ?? none)
  }
  type(schema: string, typeName: string): TypeInfo | undefined {
    return this.#types.size === 0 ? undefined : this.#types.get(canonical(schema, typeName))
  }
  /** All relations, for tools and tests. */
  relations(): IterableIterator<Relation> {
    return this.#byOid.values()
  }
}

const none: readonly never[] = []

export interface CatalogContent {
  readonly definitionPath: readonly string[]
  readonly schemas: readonly string[]
  readonly relations: readonly Relation[]
  readonly functions: readonly FunctionInfo[]
  readonly operators: readonly OperatorInfo[]
  readonly types: readonly TypeInfo[]
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}

/** Columns of system catalogs are the same for every target of a version: kept once. */
const systemColumns = new Map<string, Column[]>()
const maxSystemShapes = 4096

/**
 * A snapshot from the rows of all `catalogQueries`, in any order.
 * @throws {Error} when a row isn't what the query gives
 */
export function parseCatalogRows(rows: readonly string[]): SnapshotCatalog {
  const drafts = new Map<number, Draft>()
  const rest: Row[] = []
  const content = {
    definitionPath: [] as readonly string[],
    schemas: [] as readonly string[],
    functions: [] as FunctionInfo[],
    operators: [] as OperatorInfo[],
    types: [] as TypeInfo[],
  }
  for (const text of rows) {
    const parsed = row.safeParse(JSON.parse(text))
    if (!parsed.success) throw new Error("a row of the target's catalog is not as expected")
    const entry = parsed.data
    switch (entry[0]) {
      case 'm':
        content.definitionPath = entry[1] ?? []
        content.schemas = entry[2]
        break
      case 'r':
        drafts.set(entry[1], relationDraft(entry))
        break
      case 'f':
        content.functions.push({ schema: entry[1], name: entry[2], volatile: entry[3], returnsSet: entry[4] })
        break
      case 'o':
        content.operators.push({ schema: entry[1], name: entry[2], function: canonical(entry[3], entry[4]) })
        break
      case 't':
        content.types.push({
          schema: entry[1],
          name: entry[2],
          kind: typeKinds[entry[3]] ?? 'base',
          calls: (entry[4] ?? []).map(([schema, called]) => canonical(schema, called)),
        })
        break
      default:
        rest.push(entry)
    }
  }
  for (const entry of rest) attach(drafts, entry)
  return new SnapshotCatalog({ ...content, relations: [...drafts.values()] })
}

const typeKinds: Readonly<Record<string, TypeInfo['kind']>> = { e: 'enum', d: 'domain', c: 'composite', r: 'range', m: 'range', b: 'base' }

function relationDraft(entry: RowOf<'r'>): Draft {
  const [, oid, schema, relname, kind, columns, definition, rules] = entry
  const list: Column[] = (columns ?? []).map(([column, number]) => ({ name: column, number }))
  const draft: Draft = {
    oid, schema, name: relname, kind: kinds[kind] ?? 'other', columns: list,
    children: [], parents: [], triggers: [], cascades: [], hasRules: rules,
  }
  if (definition !== null) draft.definition = definition
  if (schema === 'pg_catalog' || schema === 'information_schema') shareColumns(draft, relname)
  return draft
}

function shareColumns(draft: Draft, relname: string): void {
  const key = `${relname} ${draft.columns.map((column) => `${column.name} ${String(column.number)}`).join(',')}`
  const known = systemColumns.get(key)
  if (known) draft.columns = known
  else if (systemColumns.size < maxSystemShapes) systemColumns.set(key, draft.columns)
}

const referential: Readonly<Record<string, 'delete' | 'update'>> = { c: 'delete', n: 'update', d: 'update' }

function attach(drafts: ReadonlyMap<number, Draft>, entry: Row): void {
  if (entry[0] === 'i') {
    const child = drafts.get(entry[1])
    const parent = drafts.get(entry[2])
    if (!child || !parent || child.kind === 'index') return
    child.parents.push(canonical(parent.schema, parent.name))
    parent.children.push(canonical(child.schema, child.name))
  } else if (entry[0] === 'd') {
    const draft = drafts.get(entry[1])
    const index = draft?.columns.findIndex((column) => column.number === entry[2]) ?? -1
    const at = Math.max(index, 0)
    const column = draft?.columns[at]
    const calls = entry[3].map(([schema, called]) => canonical(schema, called))
    if (draft && column) draft.columns[at] = { ...column, calls: [...(column.calls ?? []), ...calls] }
  } else if (entry[0] === 'g') {
    const events = triggerBits.filter(([bit]) => (entry[4] & bit) !== 0).map(([, event]) => event)
    drafts.get(entry[1])?.triggers.push({ function: canonical(entry[2], entry[3]), events })
  } else if (entry[0] === 'c') {
    const target = drafts.get(entry[1])
    const source = drafts.get(entry[2])
    if (!target || !source) return
    const table = canonical(source.schema, source.name)
    target.referencedBy = [...(target.referencedBy ?? []), table]
    const onDelete = referential[entry[3]]
    if (onDelete !== undefined) target.cascades.push({ table, on: 'delete', action: onDelete })
    if (referential[entry[4]] !== undefined) target.cascades.push({ table, on: 'update', action: 'update' })
  }
}

const sessionRow = z.tuple([
  z.array(name).nullable(),
  name,
  name,
  name.nullable(),
  z.array(z.tuple([z.number(), name, z.string(), columnList, z.string().nullable(), z.boolean(), names.nullable()])).nullable(),
  z.string(),
])

/** What `sessionQuery` tells of a connection. @throws {Error} when the row isn't what the query gives */
export function parseSessionRow(text: string): Pick<NameContext, 'searchPath' | 'currentUser' | 'database' | 'tempSchema' | 'temporary'> {
  const parsed = sessionRow.safeParse(JSON.parse(text))
  if (!parsed.success) throw new Error("the session's row is not as expected")
  const [path, currentUser, database, tempSchema, relations] = parsed.data
  const temporary = (relations ?? []).map(([oid, relname, kind, columns, definition, rules, parents]): Relation => {
    const draft = relationDraft(['r', oid, 'pg_temp', relname, kind, columns, definition, rules])
    return { ...draft, parents: (parents ?? []).map(([schema, parent]) => canonical(schema, parent)) }
  })
  // The temporary schema in the path is written as the alias that names it on every connection.
  const searchPath = (path ?? []).map((schema) => (schema === tempSchema ? 'pg_temp' : schema))
  return { searchPath, currentUser, database, temporary, ...(tempSchema === null ? {} : { tempSchema }) }
}

/** The catalog of policy tests: nothing is known, unknown names are taken to be in `public`. */
export function offlineCatalog(): Catalog {
  return new OfflineCatalog({ definitionPath: [], schemas: [], relations: [], functions: [], operators: [], types: [] })
}

class OfflineCatalog extends SnapshotCatalog {
  override readonly complete: boolean = false
}

/** Names as policy tests see them. */
export const offlineNames: NameContext = {
  searchPath: ['public'],
  currentUser: '',
  database: '',
  prepared: new Map(),
  cursors: new Map(),
  transactionClean: true,
}
