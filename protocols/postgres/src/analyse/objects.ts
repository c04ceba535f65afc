import { as, items, qualified, qualifiedOf, strings, type Body, type Node, type QualifiedName } from './ast.js'
import type { ResolvedRelation } from './names.js'
import { canonical, quoteIdent } from './quote.js'
import type { Walk } from './walk.js'

/** An object that a utility statement names. A kind is one word, with hyphens: a resource pattern has one space at most. */
export interface NamedObject {
  /** With a kind's prefix for all but relations: `public.orders`, `function public.f`, `schema shop`. */
  readonly resource: string
  readonly relation?: ResolvedRelation
  /** What kind of statement it is to create, alter or drop it. */
  readonly family: 'ddl' | 'system' | 'role' | 'database'
  /** The part of a relation that is meant: a column, constraint, trigger. */
  readonly part?: string
}

type ObjectKind = NonNullable<Body<'DropStmt'>['removeType']>

const relationKinds = new Set<ObjectKind>([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_INDEX',
  'OBJECT_SEQUENCE',
  'OBJECT_FOREIGN_TABLE',
])
/** Named after their table: the last name is the part's own. */
const partKinds = new Set<ObjectKind>([
  'OBJECT_COLUMN',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_POLICY',
  'OBJECT_DEFAULT',
])
const routineKinds = new Set<ObjectKind>(['OBJECT_FUNCTION', 'OBJECT_PROCEDURE', 'OBJECT_ROUTINE', 'OBJECT_AGGREGATE'])
/** Objects of the whole server or database, which reach beyond a schema. */
const systemKinds = new Set<ObjectKind>([
  'OBJECT_EXTENSION', 'OBJECT_FDW', 'OBJECT_FOREIGN_SERVER', 'OBJECT_PUBLICATION', 'OBJECT_SUBSCRIPTION', 'OBJECT_EVENT_TRIGGER',
  'OBJECT_LANGUAGE', 'OBJECT_TABLESPACE', 'OBJECT_ACCESS_METHOD', 'OBJECT_USER_MAPPING', 'OBJECT_PARAMETER_ACL',
  'OBJECT_PUBLICATION_REL', 'OBJECT_PUBLICATION_NAMESPACE',
])

export function kindWord(kind: string | undefined): string {
  return (kind ?? 'OBJECT_unknown').replace(/^OBJECT_/, '').toLowerCase().replaceAll('_', '-')
}

/** The object that a name node means, by the kind that the statement says. */
export function namedObject(walk: Walk, kind: ObjectKind | undefined, node: Node | undefined): NamedObject {
  if (kind === undefined || node === undefined) return { resource: 'object', family: 'ddl' }
  if (relationKinds.has(kind)) return relationObject(walk, strings(items(node)))
  if (partKinds.has(kind)) {
    const path = strings(items(node))
    return { ...relationObject(walk, path.slice(0, -1)), part: path.at(-1) ?? '' }
  }
  const word = kindWord(kind)
  if (routineKinds.has(kind)) {
    return { resource: `function ${functionName(walk, qualified(as(node, 'ObjectWithArgs')?.objname))}`, family: 'ddl' }
  }
  const text = as(node, 'String')?.sval
  if (text !== undefined) {
    const family = kind === 'OBJECT_ROLE' ? 'role' : kind === 'OBJECT_DATABASE' ? 'database' : systemKinds.has(kind) ? 'system' : 'ddl'
    return { resource: `${word} ${quoteIdent(text)}`, family }
  }
  const family = systemKinds.has(kind) ? 'system' : 'ddl'
  const type = as(node, 'TypeName')
  if (type) return { resource: `${word} ${objectName(walk, qualified(type.names))}`, family }
  const withArgs = as(node, 'ObjectWithArgs')
  if (withArgs) return { resource: `${word} ${objectName(walk, qualified(withArgs.objname))}`, family }
  const parts = items(node)
  const types = parts.map((part) => as(part, 'TypeName')).filter((part): part is Body<'TypeName'> => part !== undefined)
  if (types.length > 0) {
    return { resource: `${word} ${types.map((part) => quoteIdent(strings(part.names).at(-1) ?? '')).join('.')}`, family }
  }
  // Operator classes and families: the access method comes first.
  const path = strings(parts)
  const name = kind === 'OBJECT_OPCLASS' || kind === 'OBJECT_OPFAMILY' ? path.slice(1) : path
  return { resource: `${word} ${name.length === 0 ? '*' : objectName(walk, qualifiedOf(name))}`, family }
}

function relationObject(walk: Walk, path: readonly string[]): NamedObject {
  const relation = existingRelation(walk, qualifiedOf(path))
  return { resource: relation.resource, relation, family: 'ddl' }
}

/**
 * A relation that a statement changes. One that isn't found is taken to be where it would be created: the server will
 * say that it is missing.
 */
export function existingRelation(walk: Walk, name: QualifiedName): ResolvedRelation {
  return walk.names.relation(name) ?? walk.names.target(name, false)
}

export function rangeName(range: Body<'RangeVar'> | undefined): QualifiedName {
  return qualifiedOf([range?.catalogname, range?.schemaname, range?.relname].filter((part): part is string => part !== undefined))
}

/** Canonical name of a function that is created, altered or dropped. */
export function functionName(walk: Walk, name: QualifiedName): string {
  if (name.schema !== undefined) return canonical(name.schema, name.name)
  const user = walk.names.function(name).user[0]
  return user ? canonical(user.schema, user.name) : canonical(walk.names.creationSchema(), name.name)
}

/** Canonical name of any other object of a schema. */
export function objectName(walk: Walk, name: QualifiedName): string {
  return canonical(name.schema ?? walk.names.type(name)?.schema ?? walk.names.creationSchema(), name.name)
}
