import type { Identity } from '../identity/identity.service.js'

interface StoredIdentity {
  readonly identityKind: string
  readonly identity: string
  readonly groups: unknown
  readonly claims: unknown
  readonly actor: string | null
  readonly matchHash: string
}

/** The identity that a credential or session was made for, as stored. */
export function identityOf(row: StoredIdentity): Identity {
  return {
    kind: row.identityKind === 'user' ? 'user' : 'workload',
    name: row.identity,
    groups: Array.isArray(row.groups) ? row.groups.filter((group) => typeof group === 'string') : [],
    claims: textsOf(row.claims),
    ...(row.actor === null ? {} : { actor: row.actor }),
    matchHash: row.matchHash,
  }
}

/** The strings of a stored JSON object. */
export function textsOf(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  return Object.fromEntries(Object.entries(value).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : [])))
}
