import { Injectable } from '@nestjs/common'
import { claimMismatch } from '@sallyport/policy'
import { DirectoryService } from '../access/directory.service.js'
import { DocumentsService } from '../documents/documents.service.js'
import { LocksRepository } from '../locks/locks.repository.js'
import { IdentityError } from './identity.errors.js'
import { KeySets } from './key-sets.js'
import { keptClaims } from './kept-claims.js'
import { verifyToken } from './token-verifier.js'
import { actorOf, matchHash, matchWorkload } from './workload-matcher.js'

/** Who is asking, as everything after authentication knows it. */
export interface Identity {
  readonly kind: 'workload' | 'user'
  readonly name: string
  readonly groups: readonly string[]
  readonly claims: Readonly<Record<string, string>>
  readonly actor?: string
  /** See workload-matcher; empty for users. */
  readonly matchHash: string
}

export interface TokenIdentity {
  readonly identity: Identity
  readonly provider: string
  readonly issuer: string
  readonly tokenId: string | undefined
  readonly expiresAt: Date
}

/** Turns proofs into identities, and tells whether an identity still stands. */
@Injectable()
export class IdentityService {
  readonly #keys = new KeySets()

  constructor(
    private readonly documents: DocumentsService,
    private readonly directory: DirectoryService,
    private readonly locks: LocksRepository,
  ) {}

  /** @throws {IdentityError} */
  async ofToken(token: string): Promise<TokenIdentity> {
    const verified = await verifyToken(token, await this.documents.list('IdentityProvider'), this.#keys, Math.floor(Date.now() / 1000))
    const workload = matchWorkload(verified, await this.documents.list('Workload'))
    await this.#refuseLocked(workload.name)
    const actor = actorOf(workload, verified.claims)
    const identity: Identity = {
      kind: 'workload',
      name: workload.name,
      groups: workload.spec.groups,
      claims: keptClaims(verified.claims, [...workload.spec.showClaims, ...workload.spec.match.map((rule) => rule.claim)]),
      ...(actor === undefined ? {} : { actor }),
      matchHash: matchHash(workload),
    }
    return { identity, provider: verified.provider, issuer: verified.issuer, tokenId: verified.tokenId, expiresAt: verified.expiresAt }
  }

  /** @throws {IdentityError} */
  async ofUser(name: string): Promise<Identity> {
    const person = await this.directory.find(name)
    if (person?.locked === true) throw locked('user', name)
    if (!person || person.disabled) throw gone(`the user ${name} ${person ? 'is disabled' : 'does not exist any more'}`)
    // The e-mail address and aliases are matched against the actor by approvals; for a user the actor is the user.
    return { kind: 'user', name, groups: person.groups, claims: {}, actor: name, matchHash: '' }
  }

  /**
   * The same identity as documents are now: its groups, if it still stands. A workload whose claim rules were changed
   * since must meet the new ones with the claims that were kept.
   * @throws {IdentityError}
   */
  async current(known: Identity): Promise<Identity> {
    if (known.kind === 'user') return this.ofUser(known.name)
    const workload = await this.documents.get('Workload', known.name)
    if (!workload) throw gone(`the workload ${known.name} does not exist any more`)
    await this.#refuseLocked(known.name)
    if (!(await this.documents.get('IdentityProvider', workload.spec.provider))) throw gone(`the identity provider ${workload.spec.provider} does not exist any more`)
    const hash = matchHash(workload)
    if (hash !== known.matchHash) {
      const mismatch = claimMismatch(workload.spec.match, known.claims)
      if (mismatch) throw gone(`the claim rules of the workload ${known.name} have changed, and do not hold: claim ${mismatch.claim}`)
    }
    return { ...known, groups: workload.spec.groups, matchHash: hash }
  }

  async #refuseLocked(workload: string): Promise<void> {
    if (await this.locks.isLocked({ kind: 'workload', name: workload })) throw locked('workload', workload)
  }
}

function locked(kind: Identity['kind'], name: string): IdentityError {
  return new IdentityError('IDENTITY_LOCKED', `the ${kind} ${name} is locked`, 'An administrator or operator can say why, and release it.')
}

function gone(reason: string): IdentityError {
  return new IdentityError('IDENTITY_GONE', reason, 'Ask an administrator.')
}
