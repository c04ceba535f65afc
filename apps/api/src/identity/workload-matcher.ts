import { createHash } from 'node:crypto'
import { claimAt, claimMismatch, type WorkloadDocument } from '@sallyport/policy'
import { IdentityError } from './identity.errors.js'
import type { VerifiedToken } from './token-verifier.js'

const maxWorkloadsNamed = 5

/**
 * The one workload whose claim rules all hold for a verified token.
 * @throws {IdentityError} naming the rule that failed, or the workloads when several match
 */
export function matchWorkload(token: VerifiedToken, workloads: readonly WorkloadDocument[]): WorkloadDocument {
  const ofProvider = workloads.filter((workload) => workload.spec.provider === token.provider)
  const failures: string[] = []
  const matching: WorkloadDocument[] = []
  for (const workload of ofProvider) {
    const mismatch = claimMismatch(workload.spec.match, token.claims)
    if (mismatch) failures.push(`workload ${workload.name}: claim ${mismatch.claim} is ${found(mismatch.found)}, expected ${mismatch.expected}`)
    else matching.push(workload)
  }
  const [only] = matching
  if (only && matching.length === 1) return only
  if (only) {
    const names = matching.map((workload) => workload.name).join(', ')
    throw new IdentityError('AMBIGUOUS_WORKLOAD', `identity provider ${token.provider}: the token matches several workloads: ${names}`, 'An administrator narrows their claim rules, so that one remains.')
  }
  const more = failures.length > maxWorkloadsNamed ? `; and ${failures.length - maxWorkloadsNamed} more` : ''
  throw new IdentityError(
    'NO_WORKLOAD',
    failures.length === 0
      ? `identity provider ${token.provider}: no workload is defined for it`
      : `identity provider ${token.provider}: the token is good, but matches no workload: ${failures.slice(0, maxWorkloadsNamed).join('; ')}${more}`,
    'An administrator changes the claim rules of the Workload, or the job runs where they hold.',
  )
}

/** The person behind a run, who may not approve what it asks. GitLab says `user_login` where GitHub says `actor`. */
export function actorOf(workload: WorkloadDocument, claims: Readonly<Record<string, unknown>>): string | undefined {
  const candidates = workload.spec.actorClaim === 'actor' ? ['actor', 'user_login'] : [workload.spec.actorClaim]
  for (const name of candidates) {
    const value = claimAt(claims, name)
    if (typeof value === 'string' && value !== '' && value.length <= 512) return value
  }
  return undefined
}

/** Names a workload's claim rules: when it differs from the one that a credential was issued under, the rules have changed. */
export function matchHash(workload: WorkloadDocument): string {
  return createHash('sha256').update(JSON.stringify([workload.spec.provider, workload.spec.match])).digest('hex').slice(0, 32)
}

function found(value: string | undefined): string {
  if (value === undefined) return 'missing'
  return value.length <= 120 && /^[\x20-\x7e]*$/.test(value) ? `"${value}"` : 'another (not shown)'
}
