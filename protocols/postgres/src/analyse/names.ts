import { canonical, quoteIdent } from './quote.js'
import { guardedFunctions } from './guarded-functions.js'
import { harmlessFunctions, harmlessInformationSchemaFunctions } from './harmless-functions.js'
import { isCatalogName } from './system-catalogs.js'
import type { OverlayCatalog } from './overlay.js'
import type { QualifiedName } from './ast.js'
import { AnalysisError, type FunctionInfo, type NameContext, type OperatorInfo, type Relation, type TypeInfo } from './types.js'

export interface Undecided {
  readonly scope: 'path' | 'all'
  /** What the earlier statement does, for the message. */
  readonly why: string
}

/** A relation's name after resolution. `relation` is missing for one that is assumed (offline). */
export interface ResolvedRelation {
  readonly schema: string
  readonly name: string
  /** Canonical resource; temporary ones are `pg_temp.name` whatever the session's number. */
  readonly resource: string
  readonly relation?: Relation
  readonly temporary: boolean
}

export interface ResolvedFunction {
  /** The built-in one of this name is among the candidates. */
  readonly builtin: 'harmless' | 'guarded' | undefined
  /** User functions that the call may mean. */
  readonly user: readonly FunctionInfo[]
  /** Nothing of this name was found: the resource to ask a rule for. */
  readonly missing?: string
}

/**
 * Name resolution as the server does it (namespace.c): relations look into pg_temp and pg_catalog first unless the search path
 * lists them, functions and operators never into pg_temp, creation goes to the first schema of the path.
 */
export class Names {
  readonly #relationPath: readonly string[]
  readonly #objectPath: readonly string[]

  constructor(
    readonly catalog: OverlayCatalog,
    readonly context: NameContext,
    readonly searchPath: readonly string[] = context.searchPath,
    /** False for the definition of a view: the server prints a name that a temporary relation hides with its schema. */
    implicitTemp = true,
    /** Set when an earlier statement of the same string made names uncertain: those without a schema, or all. */
    readonly undecided?: Undecided,
  ) {
    const explicit = searchPath
    const implied = explicit.includes('pg_catalog') ? explicit : ['pg_catalog', ...explicit]
    this.#relationPath = !implicitTemp || explicit.some((schema) => this.#isTemp(schema)) ? implied : ['pg_temp', ...implied]
    this.#objectPath = implied.filter((schema) => !this.#isTemp(schema))
  }

  withPath(searchPath: readonly string[]): Names {
    return new Names(this.catalog, this.context, searchPath, true, this.undecided?.scope === 'all' ? this.undecided : undefined)
  }

  withUndecided(undecided: Undecided): Names {
    return this.undecided?.scope === 'all' ? this : new Names(this.catalog, this.context, this.searchPath, true, undecided)
  }

  #decided(schema: string | undefined): void {
    if (this.undecided === undefined || (this.undecided.scope === 'path' && schema !== undefined)) return
    throw new AnalysisError(
      'unresolved',
      `what names mean here can't be told before an earlier statement of the same text has run: ${this.undecided.why}`,
      'Send the statements separately.',
    )
  }

  #isTemp(schema: string): boolean {
    return schema === 'pg_temp' || (this.context.tempSchema !== undefined && schema === this.context.tempSchema)
  }

  /** Where an object without a schema is created. */
  creationSchema(): string {
    this.#decided(undefined)
    const schema = this.searchPath.find((name) => name !== '')
    if (schema === undefined) {
      throw new AnalysisError(
        'unresolved',
        'no schema has been selected to create in',
        'Name the schema, or SET search_path in a statement of its own first.',
      )
    }
    return this.#isTemp(schema) ? 'pg_temp' : schema
  }

  /** The relation, or undefined when a complete catalog has none of this name. */
  relation(name: QualifiedName): ResolvedRelation | undefined {
    this.#checkCatalog(name)
    this.#decided(name.schema)
    if (name.schema !== undefined) {
      return this.#lookup(name.schema, name.name) ?? (this.catalog.complete ? undefined : this.assumed(name.schema, name.name))
    }
    for (const schema of this.#relationPath) {
      const found = this.#lookup(schema, name.name)
      if (found) return found
    }
    if (this.catalog.complete) return undefined
    if (isCatalogName(name.name)) return this.assumed('pg_catalog', name.name)
    return this.assumed(this.searchPath.find((schema) => !this.#isTemp(schema) && schema !== 'pg_catalog') ?? 'public', name.name)
  }

  /** A relation that need not exist: where it would be. */
  assumed(schema: string, name: string): ResolvedRelation {
    const temporary = this.#isTemp(schema)
    const shown = temporary ? 'pg_temp' : schema
    return { schema: shown, name, resource: canonical(shown, name), temporary }
  }

  /** Where CREATE puts a relation. */
  target(name: QualifiedName, temporary: boolean): ResolvedRelation {
    this.#checkCatalog(name)
    return this.assumed(name.schema ?? (temporary ? 'pg_temp' : this.creationSchema()), name.name)
  }

  #lookup(schema: string, name: string): ResolvedRelation | undefined {
    if (this.#isTemp(schema)) {
      const relation = this.catalog.relation('pg_temp', name)
      return relation && { schema: 'pg_temp', name, resource: canonical('pg_temp', name), relation, temporary: true }
    }
    const relation = this.catalog.relation(schema, name)
    return relation && { schema, name, resource: canonical(schema, name), relation, temporary: false }
  }

  #checkCatalog(name: QualifiedName): void {
    if (name.catalog === undefined || name.catalog === this.context.database || (!this.catalog.complete && this.context.database === '')) {
      return
    }
    throw new AnalysisError(
      'unresolved',
      `cross-database references are not possible: "${name.catalog}"`,
      'Leave the database name out of the name.',
    )
  }

  /**
   * Every function that a call may mean. The server picks among all schemas of the path by argument types, which aren't known
   * here: so each candidate counts.
   */
  function(name: QualifiedName): ResolvedFunction {
    if (name.schema !== 'pg_catalog') this.#decided(name.schema)
    if (name.schema !== undefined) {
      return this.#functionIn(this.#isTemp(name.schema) ? (this.context.tempSchema ?? 'pg_temp') : name.schema, name.name)
    }
    const builtin = builtinKind(name.name)
    let user: FunctionInfo[] | undefined
    for (const schema of this.#objectPath) {
      if (schema === 'pg_catalog') continue
      const found = this.catalog.functions(schema, name.name)
      if (found.length > 0) (user ??= []).push(...found)
    }
    if (builtin !== undefined || user) return { builtin, user: user ?? none }
    return {
      builtin: undefined,
      user: none,
      missing: canonical(this.#objectPath.find((schema) => schema !== 'pg_catalog') ?? 'pg_catalog', name.name),
    }
  }

  #functionIn(schema: string, name: string): ResolvedFunction {
    if (schema === 'pg_catalog') {
      const builtin = builtinKind(name)
      return builtin === undefined ? { builtin, user: none, missing: canonical(schema, name) } : { builtin, user: none }
    }
    if (schema === 'information_schema' && harmlessInformationSchemaFunctions.has(name)) return { builtin: 'harmless', user: none }
    const user = this.catalog.functions(schema, name)
    return user.length > 0 ? { builtin: undefined, user } : { builtin: undefined, user: none, missing: canonical(schema, name) }
  }

  /** User-defined operators that the name may mean. */
  operators(name: QualifiedName): readonly OperatorInfo[] {
    const found = this.catalog.operators(name.name)
    if (found.length === 0) return found
    this.#decided(name.schema)
    return found.filter((operator) =>
      name.schema === undefined ? this.#objectPath.includes(operator.schema) : operator.schema === name.schema,
    )
  }

  /** The user-defined type of this name, if it is one. */
  type(name: QualifiedName): TypeInfo | undefined {
    if (name.schema === 'pg_catalog') return undefined
    this.#decided(name.schema)
    if (name.schema !== undefined) return this.catalog.type(name.schema, name.name)
    for (const schema of this.#objectPath) {
      const found = this.catalog.type(schema, name.name)
      if (found) return found
    }
    return undefined
  }

  /** Searched schemas, for messages. */
  describePath(): string {
    return this.searchPath.length === 0 ? 'an empty search_path' : `search_path ${this.searchPath.map(quoteIdent).join(', ')}`
  }
}

const none: readonly FunctionInfo[] = []

function builtinKind(name: string): 'harmless' | 'guarded' | undefined {
  return harmlessFunctions.has(name) ? 'harmless' : guardedFunctions.has(name) ? 'guarded' : undefined
}
