import { createHash } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import type { PublicKeyProofReceived } from '@sallyport/proto'
import { fingerprint, isCertificateType, parseCertificate, parseSignedData, splitUserName, verifyCertificate, verifySignature, type SshPublicKey, type SshUserName } from '@sallyport/ssh-keys'
import { KeysService } from '../keys/keys.service.js'
import { identityOf } from '../sessions/session-identity.js'
import { TargetsService } from '../targets/targets.service.js'
import { refusedStates, renewHint, type ProvenCredential } from './credential-login.js'
import { CredentialError } from './credentials.errors.js'
import { CredentialsRepository, stateOf, type CredentialRow } from './credentials.repository.js'

/** Longer than any credential lives: the same key may be registered again, and an old proof must stay worthless then. */
const proofMemoryDays = 30

/** What the gateway says of the client; the proof must say the same. */
export interface ClaimedLogin extends SshUserName {
  readonly clientAddress: string
}

export interface ProvenKey extends Omit<ProvenCredential, 'serverFinal'> {
  readonly method: 'public_key' | 'certificate'
  /** What the client asked for; undefined: the target's default. */
  readonly login: string | undefined
}

/** Log-in by proof of a private key: of one that a JIT credential is bound to, or of one with a certificate of ours. */
@Injectable()
export class PublicKeyLogin {
  constructor(
    private readonly repository: CredentialsRepository,
    private readonly keys: KeysService,
    private readonly targets: TargetsService,
  ) {}

  /**
   * @throws {SshKeyError} when the proof or the certificate is not good
   * @throws {CredentialError} when it is, but stands for no credential that is
   */
  async prove(proof: PublicKeyProofReceived, claimed: ClaimedLogin): Promise<ProvenKey> {
    checkSignedData(proof, claimed)
    // The decision is for this key and no other: the one whose private half signed (CVE-2024-45337).
    const key = verifySignature(proof)
    const isCertificate = isCertificateType(proof.algorithm)
    const row = isCertificate ? await this.#ofCertificate(proof.key, claimed) : await this.#ofKey(key, claimed)
    const state = stateOf(row, new Date())
    if (state !== 'live') throw refused(refusedStates[state])
    // A gateway that kept a proof could open a session with it later: each is good for one try, however that ends.
    const digest = createHash('sha256').update('sallyport-key-proof-v1\0').update(proof.signedData).digest('hex')
    const until = new Date(Date.now() + proofMemoryDays * 86_400_000)
    if (!(await this.repository.transaction((tx) => this.repository.rememberToken(tx, digest, until)))) throw refused('this proof was used before')
    return {
      id: row.id,
      target: row.target,
      login: row.target === claimed.target ? claimed.login : claimed.target,
      identity: identityOf(row),
      expiresAt: row.expiresAt,
      method: isCertificate ? 'certificate' : 'public_key',
      take: (tx) => this.repository.take(tx, row.id, new Date()),
    }
  }

  async #ofKey(key: SshPublicKey, { target, login }: ClaimedLogin): Promise<CredentialRow> {
    const now = new Date()
    const rows = await this.repository.byKey(fingerprint(key.blob), target)
    if (rows.length === 0 && login === undefined) rows.push(...(await this.#ofOneTarget(key, target, now)))
    const live = rows.filter((row) => stateOf(row, now) === 'live')
    const row = live[0] ?? rows[0]
    if (!row) throw refused(`no credential for the target ${shown(target)} is bound to the key ${fingerprint(key.blob)}`)
    if (live.some((other) => other.identityKind !== row.identityKind || other.identity !== row.identity)) {
      throw refused('this key is registered for more than one identity')
    }
    return row
  }

  /**
   * For `git@web-01` and the like, where a tool's own ssh_config leads to the gateway and the user name is a login: a name
   * that is no target's, and a key that is good for one target only, say together what is meant.
   */
  async #ofOneTarget(key: SshPublicKey, name: string, now: Date): Promise<readonly CredentialRow[]> {
    if (await this.targets.find(name)) return []
    const live = (await this.repository.byKey(fingerprint(key.blob))).filter((row) => stateOf(row, now) === 'live')
    return live.every((row) => row.target === live[0]?.target) ? live : []
  }

  async #ofCertificate(blob: Uint8Array, claimed: ClaimedLogin): Promise<CredentialRow> {
    const certificate = parseCertificate(blob)
    const { publicKey } = await this.keys.sshAuthority()
    const { serial, forceCommand } = verifyCertificate(certificate, {
      cas: [publicKey.blob],
      now: new Date(),
      principal: claimed.target,
      sourceAddress: hostOf(claimed.clientAddress),
    })
    // We never sign one; a policy says what may run, and nothing here would enforce the option.
    if (forceCommand !== undefined) throw refused('the certificate forces a command, which is not supported')
    const row = BigInt.asIntN(64, serial) === serial ? await this.repository.bySerial(serial) : null
    if (!row || row.target !== claimed.target || row.publicKey === null || !certificate.subject.blob.equals(row.publicKey)) {
      throw refused('the certificate belongs to no credential')
    }
    return row
  }
}

/** Everything that was claimed stands in what the client signed: a gateway can't choose another user, login or key. */
function checkSignedData(proof: PublicKeyProofReceived, claimed: ClaimedLogin): void {
  const signed = parseSignedData(proof.signedData)
  const { target, login } = splitUserName(signed.user)
  if (target !== claimed.target || login !== claimed.login) throw refused('the client signed for another user name')
  if (signed.service !== 'ssh-connection') throw refused('the client signed for another service')
  if (signed.algorithm !== proof.algorithm || !signed.key.equals(proof.key)) throw refused('the client signed for another key')
}

const refused = (reason: string): CredentialError => new CredentialError('CREDENTIAL_REFUSED', reason, renewHint)

function shown(target: string): string {
  return /^[\w.-]{1,100}$/.test(target) ? target : 'of this name'
}

/** The address without a port, if it has one. */
function hostOf(address: string): string {
  return /^\[([^\]]+)\]:\d+$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address
}
