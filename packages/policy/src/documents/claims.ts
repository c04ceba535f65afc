import { matchPathGlob } from '../glob.js'
import type { ClaimRule } from './identity.js'

export interface ClaimMismatch {
  readonly claim: string
  /** What the rule asks for, in words. Safe to show to the caller. */
  readonly expected: string
  /** What the token holds, shortened; undefined when the claim is missing. */
  readonly found: string | undefined
}

/** Longer claim values never match: nothing that identifies a workload is that long. */
const maxClaimLength = 1024

/**
 * The first claim rule that a token's claims don't meet; undefined when all of them hold.
 * A claim that is a list matches when one of its entries does.
 */
export function claimMismatch(rules: readonly ClaimRule[], claims: Readonly<Record<string, unknown>>): ClaimMismatch | undefined {
  for (const rule of rules) {
    const found = claimAt(claims, rule.claim)
    const values = (Array.isArray(found) ? found : [found]).flatMap((value) => scalarText(value) ?? [])
    if (!values.some((value) => value.length <= maxClaimLength && meets(rule, value))) {
      return { claim: rule.claim, expected: expectation(rule), found: values.length === 0 ? undefined : values.join(', ').slice(0, 120) }
    }
  }
  return undefined
}

/**
 * A claim by name. Dots reach into nested claims; a name that itself has dots (`kubernetes.io`) is found, too. When a
 * dotted name exists at both places, the one with fewer levels counts.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name]
  for (let dot = name.lastIndexOf('.'); dot > 0; dot = name.lastIndexOf('.', dot - 1)) {
    const head = name.slice(0, dot)
    const inner = Object.hasOwn(claims, head) ? claims[head] : undefined
    if (isRecord(inner)) {
      const found = claimAt(inner, name.slice(dot + 1))
      if (found !== undefined) return found
    }
  }
  return undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function scalarText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function meets(rule: ClaimRule, value: string): boolean {
  return 'glob' in rule ? matchPathGlob(rule.glob, value) : rule.values.includes(value)
}

function expectation(rule: ClaimRule): string {
  if ('glob' in rule) return `a value like ${rule.glob}`
  return rule.values.length === 1 ? String(rule.values[0]) : `one of ${rule.values.join(', ')}`
}
