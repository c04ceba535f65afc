import type { JsonObject } from '@sallyport/policy'
import type { ResolvedRelation } from './names.js'
import { parseCanonical, relatives, touchRows } from './relations.js'
import { systemRelation } from './system-catalogs.js'
import type { Relation } from './types.js'
import { viewShape } from './views.js'
import type { Walk } from './walk.js'

export type Write = 'insert' | 'update' | 'delete' | 'truncate'

const actions: Readonly<Record<Write, string>> = {
  insert: 'sql.insert',
  update: 'sql.update',
  delete: 'sql.delete',
  truncate: 'sql.ddl.truncate',
}

export interface WriteOptions {
  readonly details?: JsonObject
  /** Another action for the table itself, e.g. sql.copy_in; what follows from it keeps the write's own. */
  readonly action?: string
  /** False with ONLY. */
  readonly inherit?: boolean
}

/**
 * A write and all that follows from it: parents and partitions, triggers, cascading foreign keys, rules, defaults and generated
 * columns that call functions, the tables under an updatable view.
 */
export function writeEffect(walk: Walk, resolved: ResolvedRelation, write: Write, options: WriteOptions = {}): void {
  const details: JsonObject = {
    ...options.details,
    ...(resolved.temporary ? { temp: true } : {}),
    ...(systemRelation(resolved.schema, resolved.name) !== undefined ? { sensitive: true } : {}),
  }
  walk.effects.add(options.action ?? actions[write], resolved.resource, { details })
  touchRows(walk, resolved)
  const relation = resolved.relation
  if (relation) follow(walk, resolved, relation, write, options.inherit !== false, new Set([`${write} ${resolved.resource}`]))
}

function follow(walk: Walk, resolved: ResolvedRelation, relation: Relation, write: Write, inherit: boolean, seen: Set<string>): void {
  walk.charge(1)
  const via = { via: [resolved.resource] }
  relatives(walk, resolved, relation, actions[write], inherit, via)
  triggered(walk, resolved.resource, relation, write)
  if (inherit) for (const child of relation.children) ownTriggers(walk, child, write)
  if (relation.hasRules && write !== 'truncate') {
    walk.effects.add('sql.code', resolved.resource, { implied: true, details: { ...via, rules: true } })
  }
  if (write === 'insert' || write === 'update') {
    for (const column of relation.columns) {
      for (const called of column.calls ?? []) {
        walk.effects.add('sql.call', `function ${called}`, { implied: true, details: { ...via, default: true } })
      }
    }
  }
  for (const cascade of relation.cascades) {
    if (cascade.on !== write) continue
    impliedWrite(walk, cascade.table, cascade.action, { ...via, cascade: true }, seen)
  }
  if (relation.definition !== undefined && write !== 'truncate') {
    for (const effect of viewShape(walk, relation).effects) {
      if (effect.action === 'sql.select' && effect.harmless !== true) impliedWrite(walk, effect.resource, write, via, seen)
    }
  }
}

function impliedWrite(walk: Walk, resource: string, write: Write, details: JsonObject, seen: Set<string>): void {
  const key = `${write} ${resource}`
  if (seen.has(key)) return
  seen.add(key)
  walk.effects.add(actions[write], resource, { implied: true, details })
  const relation = walk.names.catalog.relationNamed(resource)
  if (!relation) return
  const resolved = { ...parseCanonical(resource), resource, relation, temporary: false }
  touchRows(walk, resolved)
  follow(walk, resolved, relation, write, true, seen)
}

/** Row triggers of the partitions fire too. */
function ownTriggers(walk: Walk, resource: string, write: Write): void {
  const relation = walk.names.catalog.relationNamed(resource)
  if (!relation) return
  triggered(walk, resource, relation, write)
  for (const child of relation.children) ownTriggers(walk, child, write)
}

function triggered(walk: Walk, resource: string, relation: Relation, write: Write): void {
  for (const trigger of relation.triggers) {
    if (!trigger.events.includes(write)) continue
    walk.effects.add('sql.call', `function ${trigger.function}`, { implied: true, details: { via: [resource], trigger: true } })
  }
}
