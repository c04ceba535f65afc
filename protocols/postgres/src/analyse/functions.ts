import type { JsonObject } from '@sallyport/policy'
import { constantText, qualified, type Body, type Node, type QualifiedName } from './ast.js'
import { readsOnlyArguments } from './guarded-functions.js'
import { computed, fromAnywhere, noSources, type Value } from './lineage.js'
import type { ResolvedFunction } from './names.js'
import { canonical } from './quote.js'
import { setConfig, showSetting } from './settings.js'
import type { Walk } from './walk.js'

/**
 * A function call's effects. Returns what its result tells: `arguments` when it is computed from them, `anywhere` when the function
 * may have read any table, `nothing` for count().
 */
export function callFunction(
  walk: Walk,
  name: QualifiedName,
  args: readonly Node[],
  extra?: JsonObject,
): 'arguments' | 'anywhere' | 'nothing' {
  const found = walk.names.function(name)
  if (found.builtin === 'harmless' && found.user.length === 0) return name.name === 'count' ? 'nothing' : 'arguments'
  const details = { ...extra, ...constantArguments(args) }
  return emit(walk, name.name, found, args, details)
}

function emit(walk: Walk, name: string, found: ResolvedFunction, args: readonly Node[], details: JsonObject): 'arguments' | 'anywhere' {
  let anywhere = false
  if (found.builtin === 'guarded') {
    if (!special(walk, name, args)) walk.effects.add('sql.call', `function ${canonical('pg_catalog', name)}`, { details })
    anywhere ||= !readsOnlyArguments(name)
  }
  for (const user of found.user) {
    walk.effects.add('sql.call', `function ${canonical(user.schema, user.name)}`, {
      details: { ...details, volatility: volatility[user.volatile] },
    })
    if (user.volatile === 'v') walk.callsVolatile = true
    if (user.volatile !== 'i') anywhere = true
  }
  if (found.missing !== undefined) {
    walk.effects.add('sql.call', `function ${found.missing}`, { details: { ...details, not_found: true } })
    walk.callsVolatile = true
    anywhere = true
  }
  return anywhere ? 'anywhere' : 'arguments'
}

const volatility = { i: 'immutable', s: 'stable', v: 'volatile' } as const

/** Built-in functions that are another action under a function's name. */
function special(walk: Walk, name: string, args: readonly Node[]): boolean {
  switch (name) {
    case 'set_config':
      setConfig(walk, args)
      return true
    case 'current_setting':
      showSetting(walk, constantText(args[0]) ?? undefined)
      return true
    case 'pg_notify': {
      const channel = constantText(args[0])
      walk.effects.add('sql.notify', `channel ${channel ?? '*'}`, { details: { payload: true } })
      return true
    }
    default:
      return false
  }
}

/** Constant arguments, for rules and the audit; cut, so that a large literal isn't stored twice. */
function constantArguments(args: readonly Node[]): JsonObject {
  const out: string[] = []
  for (const arg of args.slice(0, 8)) {
    const text = constantText(arg)
    if (typeof text === 'string') out.push(text.length > 200 ? `${text.slice(0, 200)}…` : text)
  }
  return out.length === 0 ? {} : { arguments: out }
}

/** The value that a call yields, from the values of its arguments. */
export function resultOf(kind: 'arguments' | 'anywhere' | 'nothing', args: readonly Value[]): Value {
  if (kind === 'nothing') return noSources
  return kind === 'anywhere' ? computed([...args, fromAnywhere]) : computed(args)
}

/** An operator: built-in ones are harmless, a user-defined one runs its function. */
export function operator(walk: Walk, name: readonly Node[] | undefined, fallback = '='): boolean {
  return operatorNamed(walk, name === undefined || name.length === 0 ? { name: fallback } : qualified(name))
}

export function operatorNamed(walk: Walk, name: QualifiedName): boolean {
  const found = walk.names.operators(name)
  for (const one of found) walk.effects.add('sql.call', `function ${one.function}`, { details: { operator: one.name } })
  return found.length > 0
}

/** A type that a value is cast to: a domain's checks and a type's own casts run functions. */
export function typeUsed(walk: Walk, type: Body<'TypeName'> | undefined): void {
  if (!type?.names) return
  const info = walk.names.type(qualified(type.names))
  if (!info) return
  const details = { type: canonical(info.schema, info.name) }
  for (const name of info.calls) walk.effects.add('sql.call', `function ${name}`, { details })
}
