import type { Effect, JsonValue } from '../effect.js'

export type FactValue = string | number | boolean
export type Facts = { readonly [fact: string]: FactValue }

/**
 * Whether an effect's details hold the facts that a rule asks for.
 *
 * A boolean fact that the protocol doesn't mention counts as false, so `missing_where: false` means "has a WHERE".
 * A list (columns read) matches in the safe direction: a permission needs every entry to be the value, a restriction any.
 */
export function factsHold(facts: Facts, details: Effect['details'], permission: boolean): boolean {
  for (const fact of Object.keys(facts)) {
    const wanted = facts[fact]
    const found = details !== undefined && Object.hasOwn(details, fact) ? details[fact] : undefined
    if (wanted !== undefined && !factHolds(wanted, found, permission)) return false
  }
  return true
}

function factHolds(wanted: FactValue, found: JsonValue | undefined, permission: boolean): boolean {
  if (found === undefined || found === null) return wanted === false
  if (Array.isArray(found)) {
    const same = (entry: JsonValue): boolean => entry === wanted
    return permission ? found.length > 0 && found.every(same) : found.some(same)
  }
  return found === wanted
}
