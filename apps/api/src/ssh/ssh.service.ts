import { randomBytes } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import { certificateLine, knownHostsLine, parseHostAddress, publicKeyLine, signCertificate, type SshPublicKey } from '@sallyport/ssh-keys'
import { CredentialsService, type IssuedCredential } from '../credentials/credentials.service.js'
import type { Identity } from '../identity/identity.service.js'
import { KeysService } from '../keys/keys.service.js'
import { NodesRepository } from '../nodes/nodes.repository.js'
import { TargetsConfig } from '../targets/targets.config.js'

const protocol = 'ssh'
/** A gateway's clock may be a little behind ours. */
const backdateMilliseconds = 60_000

export interface CertificateRequest {
  readonly identity: Identity
  readonly target: string
  readonly publicKey: SshPublicKey
  readonly ttlSeconds: number
}

export interface IssuedSshCertificate {
  readonly issued: IssuedCredential
  /** A line of a `-cert.pub` file. */
  readonly certificate: string
  readonly serial: bigint
}

/** What is peculiar to SSH: users' certificates, their CA, and the gateways' host keys. */
@Injectable()
export class SshService {
  constructor(
    private readonly keys: KeysService,
    private readonly credentials: CredentialsService,
    private readonly nodes: NodesRepository,
    private readonly targets: TargetsConfig,
  ) {}

  /**
   * A certificate for the key, good for one target. It stands for a credential, which can be listed and revoked like any
   * other: without its row a certificate is good for nothing.
   * @throws {CredentialError}
   */
  async certify(request: CertificateRequest): Promise<IssuedSshCertificate> {
    const { identity, publicKey, target, ttlSeconds } = request
    const serial = randomBytes(8).readBigUInt64BE() >> 1n
    const issued = await this.credentials.issue({ identity, target, ttlSeconds, singleUse: false, publicKey, serial })
    const certificate = signCertificate({
      authority: (await this.keys.sshAuthority()).privateKey,
      subject: publicKey,
      serial,
      keyId: `${identity.kind}:${identity.name} credential:${issued.id}`,
      principals: [issued.target.name],
      validAfter: new Date(issued.createdAt.getTime() - backdateMilliseconds),
      validBefore: issued.expiresAt,
      // No extensions: what a session may do is the policy's to say.
    })
    return { issued, certificate: certificateLine(certificate), serial }
  }

  /** The CA's public key, as in authorized_keys. */
  async authorityLine(): Promise<string> {
    return publicKeyLine((await this.keys.sshAuthority()).publicKey, 'sallyport-user-ca')
  }

  /**
   * known_hosts lines of all gateways, for the address that `connection` objects name, and for other ports of that host: a
   * gateway vouches for its own host, and for nobody else's.
   */
  async knownHosts(): Promise<string> {
    const published = { host: this.targets.host, port: this.targets.portOf(protocol) }
    const lines = new Set<string>()
    for (const key of await this.nodes.publishedHostKeys()) {
      if (key.protocol !== protocol) continue
      const own = parseHostAddress(key.address)
      for (const address of own?.host === published.host ? [published, own] : [published]) lines.add(`${knownHostsLine(address, key.public_key)}\n`)
    }
    return [...lines].join('')
  }
}
