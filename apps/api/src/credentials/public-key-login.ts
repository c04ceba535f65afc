import { createHash } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import type { PublicKeyProofReceived } from '@sallyport/proto'
import { fingerprint, isCertificateType, parseCertificate, parseSignedData, splitUserName, verifyCertificate, verifySignature, type SshPublicKey, type SshUserName } from '@sallyport/ssh-keys'
import { KeysService } from '../keys/keys.service.js'
import { identityOf } from '../sessions/session-identity.js'
import { refusedStates, renewHint, type ProvenCredential } from './credential-login.js'
import { CredentialError } from './credentials.errors.js'
import { CredentialsRepository, stateOf, type CredentialRow } from './credentials.repository.js'

/** What the gateway says of the client; the proof must say the same. */
export interface ClaimedLogin extends SshUserName {
  readonly clientAddress: string
}

export interface ProvenKey extends Omit<ProvenCredential, 'serverFinal'> {
  readonly method: 'public_key' | 'certificate'
}

/** Log-in by proof of a private key: of one that a JIT credential is bound to, or of one with a certificate of ours. */
@Injectable()
export class PublicKeyLogin {
  constructor(
    private readonly repository: CredentialsRepository,
    private readonly keys: KeysService,
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
    const row = isCertificate ? await this.#ofCertificate(proof.key, claimed) : await this.#ofKey(key, claimed.target)
    const state = stateOf(row, new Date())
    if (state !== 'live') throw refused(refusedStates[state])
    const digest = createHash('sha256').update('sallyport-key-proof-v1\0').update(proof.signedData).digest('hex')
    return {
      id: row.id,
      target: row.target,
      identity: identityOf(row),
      method: isCertificate ? 'certificate' : 'public_key',
      // A gateway that kept a proof could open a second session with it: each opens one, and is forgotten with its credential.
      take: async (tx) => (await this.repository.rememberToken(tx, digest, row.expiresAt)) && (await this.repository.take(tx, row.id, new Date())),
    }
  }

  async #ofKey(key: SshPublicKey, target: string): Promise<CredentialRow> {
    const now = new Date()
    const rows = await this.repository.byKey(fingerprint(key.blob), target)
    const live = rows.filter((row) => stateOf(row, now) === 'live')
    const row = live[0] ?? rows[0]
    if (!row) throw refused(`no credential for the target ${shown(target)} is bound to the key ${fingerprint(key.blob)}`)
    if (live.some((other) => other.identityKind !== row.identityKind || other.identity !== row.identity)) {
      throw refused('this key is registered for more than one identity')
    }
    return row
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
