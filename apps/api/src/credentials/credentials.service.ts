import { createHash, randomBytes } from 'node:crypto'
import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import type { TargetDocument } from '@sallyport/policy'
import { fingerprint, type SshPublicKey } from '@sallyport/ssh-keys'
import { v7 as uuid } from 'uuid'
import { EventsService } from '../audit/events.service.js'
import type { Identity } from '../identity/identity.service.js'
import { LocksRepository } from '../locks/locks.repository.js'
import { PoliciesService } from '../policies/policies.service.js'
import { SessionsService } from '../sessions/sessions.service.js'
import { takesPublicKeys, TargetsService, viewOf, type Connection, type TargetView } from '../targets/targets.service.js'
import { CredentialError } from './credentials.errors.js'
import { CredentialsRepository, stateOf, type CredentialRow } from './credentials.repository.js'
import { makeVerifier, scramIterations, verifySecret } from './scram/verifier.js'

export const credentialTtl = { defaultSeconds: 900, maxSeconds: 6 * 3600 } as const
const keepDays = 30
const pruneEveryMilliseconds = 3_600_000
const usernamePattern = /^jit-[a-z0-9]{22,64}$/

/** Whether a user name is a JIT credential's, and not a target's name. */
export const isCredentialUsername = (user: string): boolean => usernamePattern.test(user)

export interface IssueRequest {
  readonly identity: Identity
  readonly target: string
  readonly ttlSeconds: number
  readonly singleUse: boolean
  /**
   * Only a proof of this key logs in, by itself or with the certificate of this serial. Without effect for a protocol
   * whose clients prove no key: whoever asks needs not know the protocol beforehand, and sees it in the answer.
   */
  readonly publicKey?: SshPublicKey | undefined
  readonly serial?: bigint
  /** A token that may be exchanged once: its issuer, id and expiry. */
  readonly onceOf?: { readonly issuer: string; readonly tokenId: string; readonly expiresAt: Date }
}

export interface IssuedCredential {
  readonly id: string
  /** Shown once; only its SCRAM verifier is kept. */
  readonly secret: string
  readonly username: string
  readonly expiresInSeconds: number
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly publicKey: SshPublicKey | undefined
  readonly target: TargetView
  readonly connection: Connection
}

/** Just-in-time credentials: minting, taking, revoking. */
@Injectable()
export class CredentialsService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(CredentialsService.name)
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly repository: CredentialsRepository,
    private readonly events: EventsService,
    private readonly policies: PoliciesService,
    private readonly targets: TargetsService,
    private readonly sessions: SessionsService,
    private readonly locks: LocksRepository,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.repository.prune(new Date(), keepDays).catch(() => this.#log.warn({ message: 'expired credentials could not be pruned' }))
    }, pruneEveryMilliseconds)
    this.#timer.unref()
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer)
  }

  /** @throws {CredentialError} */
  async issue(request: IssueRequest): Promise<IssuedCredential> {
    const { identity } = request
    const target = await this.targets.find(request.target)
    if (!target) throw new CredentialError('TARGET_UNKNOWN', `there is no target ${shown(request.target)}`, 'List targets with `sallyport targets`.')
    if (!(await this.policies.resolve(identity, viewOf(target)))) {
      throw new CredentialError('POLICY_DENIED', `no policy gives ${identity.kind} ${identity.name} a session on ${target.name}`, 'An administrator adds a policy that names both.')
    }
    if (await this.locks.isLocked({ kind: 'target', name: target.name })) throw new CredentialError('TARGET_LOCKED', `the target ${target.name} is locked`, 'An administrator or operator can say why, and release it.')
    const { serial } = request
    const publicKey = takesPublicKeys(target) ? request.publicKey : undefined
    if (publicKey) await this.#checkKey(publicKey, target, identity)
    else if (serial !== undefined) {
      throw new CredentialError('PUBLIC_KEY_REFUSED', `the target ${target.name} speaks ${target.spec.protocol}, whose clients prove no SSH key`, 'Exchange a token for a credential instead.')
    }
    const id = uuid()
    const secret = `spc_${randomBytes(32).toString('base64url')}`
    const username = `jit-${randomBytes(16).toString('hex')}`
    const createdAt = new Date()
    const expiresAt = new Date(createdAt.getTime() + request.ttlSeconds * 1000)
    const verifier = makeVerifier(secret, randomBytes(16), scramIterations)
    await this.repository.transaction(async (tx) => {
      if (request.onceOf && !(await this.repository.rememberToken(tx, replayKey(request.onceOf.issuer, request.onceOf.tokenId), request.onceOf.expiresAt))) {
        throw new CredentialError('TOKEN_REPLAYED', 'this token was exchanged for a single-use credential already (claim jti)', 'Ask your CI for a fresh token.')
      }
      await this.repository.create(tx, {
        id,
        username,
        identityKind: identity.kind,
        identity: identity.name,
        groups: [...identity.groups],
        claims: { ...identity.claims },
        target: target.name,
        actor: identity.actor ?? null,
        matchHash: identity.matchHash,
        salt: new Uint8Array(verifier.salt),
        iterations: verifier.iterations,
        storedKey: new Uint8Array(verifier.storedKey),
        serverKey: new Uint8Array(verifier.serverKey),
        singleUse: request.singleUse,
        ...(publicKey ? { publicKey: new Uint8Array(publicKey.blob), keyFingerprint: fingerprint(publicKey.blob), serial: serial ?? null } : {}),
        createdAt,
        expiresAt,
      })
      await this.events.appendWithin(tx, [
        {
          kind: 'credential.issued',
          credential: id,
          identity: { kind: identity.kind, name: identity.name, groups: identity.groups },
          claims: identity.claims,
          target: target.name,
          expires_at: expiresAt.toISOString(),
          single_use: request.singleUse,
          ...(publicKey ? { key_fingerprint: fingerprint(publicKey.blob) } : {}),
          ...(serial === undefined ? {} : { serial: serial.toString() }),
        },
      ])
    })
    // Who proves a key is found by the key, and names the target.
    const user = publicKey ? target.name : username
    const connection = await this.targets.connection(target, user)
    return { id, secret, username: user, expiresInSeconds: request.ttlSeconds, createdAt, expiresAt, publicKey, target: viewOf(target), connection }
  }

  /**
   * A key must not stand for two identities on one target: whoever registered somebody else's key would make that person
   * work under the wrong name. The log-in checks it once more.
   */
  async #checkKey(publicKey: SshPublicKey, target: TargetDocument, identity: Identity): Promise<void> {
    const now = new Date()
    const rows = await this.repository.byKey(fingerprint(publicKey.blob), target.name)
    if (rows.some((row) => stateOf(row, now) === 'live' && (row.identityKind !== identity.kind || row.identity !== identity.name))) {
      throw new CredentialError('PUBLIC_KEY_REFUSED', 'this public key is registered for another identity', 'Make a key of your own: ssh-keygen -t ed25519.')
    }
  }

  /** Revokes and kills the sessions opened with it. Idempotent: what is revoked already is killed again, no second event. */
  async revoke(row: CredentialRow, by: string, reason?: string): Promise<void> {
    await this.repository.transaction(async (tx) => {
      if (!(await this.repository.revoke(tx, row.id, by, new Date()))) return
      await this.events.appendWithin(tx, [
        {
          kind: 'credential.revoked',
          credential: row.id,
          identity: { kind: row.identityKind === 'user' ? 'user' : 'workload', name: row.identity },
          target: row.target,
          by,
          ...(reason === undefined ? {} : { reason }),
        },
      ])
    })
    await this.sessions.killWhere({ credentialId: row.id }, 'the credential was revoked', by)
  }

  find(id: string): Promise<CredentialRow | null> {
    return this.repository.byId(id)
  }

  /** Whether this is the credential's own secret. */
  holdsSecret(row: CredentialRow, secret: string): boolean {
    return secret.length <= 256 && verifySecret(secret, row)
  }
}

/** Issuer and id, hashed: both come from outside and may be long. */
function replayKey(issuer: string, tokenId: string): string {
  return createHash('sha256').update(JSON.stringify([issuer, tokenId])).digest('hex')
}

function shown(name: string): string {
  return name.length <= 100 && /^[\x21-\x7e]+$/.test(name) ? `"${name}"` : 'of this name'
}
