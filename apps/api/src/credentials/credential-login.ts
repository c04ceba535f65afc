import { randomBytes } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import type { Identity } from '../identity/identity.service.js'
import { KeysService } from '../keys/keys.service.js'
import { identityOf } from '../sessions/session-identity.js'
import { CredentialError } from './credentials.errors.js'
import { CredentialsRepository, stateOf, type CredentialRow, type Transaction } from './credentials.repository.js'
import { ScramServer } from './scram/scram-server.js'
import { scramIterations, scramKeyBytes, verifySecret, type ScramVerifier } from './scram/verifier.js'

export interface ProvenCredential {
  readonly id: string
  readonly target: string
  readonly identity: Identity
  readonly expiresAt: Date
  readonly serverFinal: Buffer
  /** Takes it for one session, within the session's transaction; false when it is no longer good. */
  take(tx: Transaction): Promise<boolean>
}

/** Log-in with a JIT credential: by SCRAM, or by its secret where a protocol knows nothing better. */
@Injectable()
export class CredentialLogin {
  constructor(
    private readonly repository: CredentialsRepository,
    private readonly keys: KeysService,
  ) {}

  /** @throws {ScramError} when the mechanism wasn't offered */
  begin(username: string, mechanism: string, serverEndPoint: Uint8Array): CredentialConversation {
    const server = new ScramServer({ mechanism, serverEndPoint, nonce: randomBytes(18).toString('base64') })
    return new CredentialConversation(username, server, this.repository, this.keys)
  }

  /**
   * The secret itself. What is refused costs as much time as what is taken.
   * @throws {CredentialError}
   */
  async show(username: string, secret: string): Promise<Omit<ProvenCredential, 'serverFinal'>> {
    const found = await this.repository.byUsername(username)
    const row = found && found.publicKey === null ? found : undefined
    const holds = secret.length <= maxSecretLength && verifySecret(secret, row ?? (await decoyVerifier(this.keys, username)))
    if (!row || !holds) throw new CredentialError('CREDENTIAL_REFUSED', 'the credential is unknown, or its secret is wrong', renewHint)
    return provenBy(row, this.repository)
  }
}

const maxSecretLength = 256

/** @throws {CredentialError} when it is no longer good: its holder may know why */
function provenBy(row: CredentialRow, repository: CredentialsRepository): Omit<ProvenCredential, 'serverFinal'> {
  const state = stateOf(row, new Date())
  if (state !== 'live') throw new CredentialError('CREDENTIAL_REFUSED', refusedStates[state], renewHint)
  return {
    id: row.id,
    target: row.target,
    identity: identityOf(row),
    expiresAt: row.expiresAt,
    take: (tx) => repository.take(tx, row.id, new Date()),
  }
}

/** The same salt for the same name every time, and keys that nothing proves. */
async function decoyVerifier(keys: KeysService, username: string): Promise<ScramVerifier> {
  const salt = await keys.decoy(`scram-salt:${username}`, 16)
  return { salt, iterations: scramIterations, storedKey: randomBytes(scramKeyBytes), serverKey: randomBytes(scramKeyBytes) }
}

/** One exchange. An unknown user name goes through all of it with a stable decoy, and fails as a wrong secret does. */
export class CredentialConversation {
  #row: CredentialRow | undefined

  constructor(
    private readonly username: string,
    private readonly server: ScramServer,
    private readonly repository: CredentialsRepository,
    private readonly keys: KeysService,
  ) {}

  /** @throws {ScramError} */
  async first(message: Uint8Array): Promise<Buffer> {
    const row = await this.repository.byUsername(this.username)
    const decoy = await decoyVerifier(this.keys, this.username)
    // The secret of a credential that is bound to a key revokes it, and does nothing else.
    this.#row = row && row.publicKey === null ? row : undefined
    return this.server.first(message, this.#row ?? decoy)
  }

  /**
   * @throws {ScramError} when the secret isn't proven
   * @throws {CredentialError} when it is, but the credential is no longer good: its holder may know why
   */
  final(message: Uint8Array): ProvenCredential {
    const serverFinal = this.server.final(message)
    const row = this.#row
    if (!row) throw new CredentialError('CREDENTIAL_REFUSED', 'the credential is not good', renewHint)
    return { ...provenBy(row, this.repository), serverFinal }
  }
}

export const renewHint = 'Exchange a token for a new credential; `sallyport exec` does it by itself.'
export const refusedStates = {
  used: 'the credential was for a single use, and was used',
  revoked: 'the credential was revoked',
  expired: 'the credential has expired',
} as const
