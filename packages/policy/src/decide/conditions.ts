import type { Effect, JsonValue } from '../effect.js'

export type FactValue = string | number | boolean
export type Facts = { readonly [fact: string]: FactValue }

/**
 * Whether an effect's details hold the facts that a rule asks for.
 *
 * A boolean fact that the protocol doesn't mention counts as false, so `missing_where: false` means "has a WHERE".
 * A list (columns read) matches in the safe direction: a permission needs every entry to be the value, a restriction any.
 * So does a fact that the protocol names in `uncertain`: it could be anything.
 */
export function factsHold(facts: Facts, details: Effect['details'], permission: boolean): boolean {
  const uncertain = details?.['uncertain']
  for (const fact of Object.keys(facts)) {
    if (Array.isArray(uncertain) && uncertain.includes(fact)) {
      if (permission) return false
      continue
    }
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
