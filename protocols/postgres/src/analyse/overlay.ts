import { canonical } from './quote.js'
import type { Catalog, Column, FunctionInfo, OperatorInfo, Relation, TypeInfo } from './types.js'
import type { Value } from './lineage.js'

/**
 * The catalog as it will be while a query string runs: the snapshot, with the relations and schemas that earlier statements of
 * the string create, change or drop laid over it.
 */
export class OverlayCatalog implements Catalog {
  readonly complete: boolean
  readonly #relations = new Map<string, Relation | undefined>()
  readonly #schemas = new Map<string, boolean>()
  readonly #functions = new Map<string, FunctionInfo>()
  readonly #types = new Map<string, TypeInfo>()
  readonly #lineage = new WeakMap<Relation, ReadonlyMap<string, Value>>()

  readonly #temporary: readonly Relation[]

  /** @param temporary the session's temporary relations, known by the schema `pg_temp` here */
  constructor(
    readonly base: Catalog,
    temporary: readonly Relation[] = [],
  ) {
    this.complete = base.complete
    this.#temporary = temporary
  }

  /** True once anything was laid over: what was derived from the snapshot alone may then not be shared. */
  get changed(): boolean {
    return this.#relations.size > 0 || this.#schemas.size > 0
  }

  get definitionPath(): readonly string[] | undefined {
    return this.base.definitionPath
  }

  hasSchema(schema: string): boolean {
    return this.#schemas.get(schema) ?? this.base.hasSchema(schema)
  }

  relation(schema: string, name: string): Relation | undefined {
    if (schema === 'pg_temp' && !this.#relations.has(canonical(schema, name))) {
      return this.#temporary.find((relation) => relation.name === name)
    }
    if (this.#relations.size === 0) return this.base.relation(schema, name)
    const key = canonical(schema, name)
    if (this.#relations.has(key)) return this.#relations.get(key)
    if (this.#schemas.get(schema) === false) return undefined
    return this.base.relation(schema, name)
  }

  relationByOid(oid: number): Relation | undefined {
    return this.base.relationByOid(oid)
  }

  relationNamed(name: string): Relation | undefined {
    return this.#relations.has(name) ? this.#relations.get(name) : this.base.relationNamed(name)
  }

  functions(schema: string, name: string): readonly FunctionInfo[] {
    const made = this.#functions.size === 0 ? undefined : this.#functions.get(canonical(schema, name))
    return made ? [...this.base.functions(schema, name), made] : this.base.functions(schema, name)
  }

  operators(name: string): readonly OperatorInfo[] {
    return this.base.operators(name)
  }

  type(schema: string, name: string): TypeInfo | undefined {
    return this.#types.get(canonical(schema, name)) ?? this.base.type(schema, name)
  }

  /** Where the values of a relation made in this string come from, by column. */
  lineage(relation: Relation): ReadonlyMap<string, Value> | undefined {
    return this.#lineage.get(relation)
  }

  create(relation: Relation, lineage?: ReadonlyMap<string, Value>): void {
    this.#relations.set(canonical(relation.schema, relation.name), relation)
    if (lineage) this.#lineage.set(relation, lineage)
  }

  createFunction(info: FunctionInfo): void {
    this.#functions.set(canonical(info.schema, info.name), info)
  }

  createType(info: TypeInfo): void {
    this.#types.set(canonical(info.schema, info.name), info)
  }

  drop(schema: string, name: string): void {
    this.#relations.set(canonical(schema, name), undefined)
  }

  setSchema(schema: string, exists: boolean): void {
    this.#schemas.set(schema, exists)
  }
}

/** A relation that exists only in this string so far. */
export function provisional(
  schema: string,
  name: string,
  kind: Relation['kind'],
  columns: readonly string[],
  extra: Partial<Relation> = {},
): Relation {
  const list: Column[] = columns.map((column, index) => ({ name: column, number: index + 1 }))
  return { oid: 0, schema, name, kind, columns: list, children: [], parents: [], triggers: [], cascades: [], hasRules: false, ...extra }
}
