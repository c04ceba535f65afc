import type { CompiledMasks } from '@sallyport/policy'
import type { StatementAnalysis } from '../../analyse/index.js'
import type { Refused } from '../denial-text.js'
import { isMasked } from './notice-mask.js'

/**
 * Refuses to store values of masked columns somewhere else: `INSERT INTO notes SELECT ssn FROM customers` would take
 * them out from under the mask, and the next SELECT would show them.
 */
export function checkMaskedCopy(statement: StatementAnalysis, masks: CompiledMasks): Refused | undefined {
  if (!masks.hasColumnMasks) return undefined
  for (const copied of statement.stores) {
    // A masked column written back to itself (`SET email = lower(email)`) stays under its mask.
    const leaking = copied.sources.find((source) => isMasked(source, masks) && !(copied.into !== undefined && isMasked(copied.into, masks)))
    if (leaking === undefined) continue
    return {
      rule: 'masked-data-copy',
      sqlstate: '42501',
      message: `Sallyport: the statement would store values of the masked column ${leaking} where no mask covers them${copied.into === undefined ? '' : ` (${copied.into})`}`,
      hint: 'Leave the masked column out, or ask for the copy to be made by somebody whose policy does not mask it.',
    }
  }
  return undefined
}
