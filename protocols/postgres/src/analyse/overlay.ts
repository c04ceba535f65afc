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
  readonly #lineage = new WeakMap<Relation, ReadonlyMap<string, Value>>()

  constructor(readonly base: Catalog) {
    this.complete = base.complete
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
    if (this.#relations.size === 0) return this.base.relation(schema, name)
    const key = canonical(schema, name)
    if (this.#relations.has(key)) return this.#relations.get(key)
    if (this.#schemas.get(schema) === false) return undefined
    return this.base.relation(schema, name)
  }

  /** Whether a statement of this string dropped it. */
  dropped(schema: string, name: string): boolean {
    const key = canonical(schema, name)
    return (this.#relations.has(key) && this.#relations.get(key) === undefined) || this.#schemas.get(schema) === false
  }

  relationByOid(oid: number): Relation | undefined {
    return this.base.relationByOid(oid)
  }

  functions(schema: string, name: string): readonly FunctionInfo[] {
    return this.base.functions(schema, name)
  }

  operators(name: string): readonly OperatorInfo[] {
    return this.base.operators(name)
  }

  type(schema: string, name: string): TypeInfo | undefined {
    return this.base.type(schema, name)
  }

  /** Where the values of a relation made in this string come from, by column. */
  lineage(relation: Relation): ReadonlyMap<string, Value> | undefined {
    return this.#lineage.get(relation)
  }

  create(relation: Relation, lineage?: ReadonlyMap<string, Value>): void {
    this.#relations.set(canonical(relation.schema, relation.name), relation)
    if (lineage) this.#lineage.set(relation, lineage)
  }

  drop(schema: string, name: string): void {
    this.#relations.set(canonical(schema, name), undefined)
  }

  setSchema(schema: string, exists: boolean): void {
    this.#schemas.set(schema, exists)
  }
}

/** A relation that exists only in this string so far. */
export function provisional(schema: string, name: string, kind: Relation['kind'], columns: readonly string[], extra: Partial<Relation> = {}): Relation {
  const list: Column[] = columns.map((column, index) => ({ name: column, number: index + 1 }))
  return { oid: 0, schema, name, kind, columns: list, children: [], parents: [], triggers: [], cascades: [], hasRules: false, ...extra }
}
