import { createPublicKey, verify } from 'node:crypto'
import { Injectable } from '@nestjs/common'
import { nodeKeyType, type NodeKeyStatement } from '@sallyport/audit-log'
import { v7 as uuid } from 'uuid'
import { EventsService } from '../audit/events.service.js'
import { RateLimit } from '../limits/rate-limit.js'
import { KeysService } from '../keys/keys.service.js'
import { conflict } from '../problem/problem.js'
import { permittedNames, readRequest, type NodeRequest } from './certificate-request.js'
import { makeEnrolmentToken, verifyProof } from './enrolment-token.js'
import { EnrolmentError } from './nodes.errors.js'
import { kindOf, labelsOf, NodesRepository, type EnrolmentTokenRow, type NodeKind } from './nodes.repository.js'

const certificateDays = 90
const freshnessSeconds = 300
const renewPrefix = Buffer.from('sallyport-renew-v1\0')

export interface EnrolledNode {
  readonly nodeId: string
  readonly name: string
  /** DER. */
  readonly certificate: Buffer
  readonly trustBundle: string
}

/** How gateways and agents get in: a one-time token, then certificates renewed by their own key. */
@Injectable()
export class EnrolmentService {
  /** Strangers may call this: each call costs a look-up. */
  readonly #limit = new RateLimit(30, 2)
  readonly #alerts = new RateLimit(5, 0.1)

  constructor(
    private readonly repository: NodesRepository,
    private readonly keys: KeysService,
    private readonly events: EventsService,
  ) {}

  /** @throws {Problem} 409 when a live node has the name */
  async createToken(
    request: { readonly kind: NodeKind; readonly name: string; readonly labels: Readonly<Record<string, string>>; readonly ttlSeconds: number },
    by: string,
  ): Promise<{ token: string; id: string; expiresAt: Date }> {
    const taken = await this.repository.byName(request.name)
    if (taken && !taken.revokedAt) throw conflict('NAME_TAKEN', `A ${taken.kind} named ${request.name} is enrolled already.`, 'Revoke it first, or choose another name.')
    const { fingerprint } = await this.keys.trustBundle()
    const { id, token, secretHash } = makeEnrolmentToken(fingerprint)
    const createdAt = new Date()
    const expiresAt = new Date(createdAt.getTime() + request.ttlSeconds * 1000)
    await this.repository.transaction(async (tx) => {
      await this.repository.createToken(tx, {
        id,
        kind: request.kind,
        name: request.name,
        labels: { ...request.labels },
        secretHash: new Uint8Array(secretHash),
        createdBy: by,
        createdAt,
        expiresAt,
      })
      await this.events.appendWithin(tx, [{ kind: 'token.created', token: id, user: request.name, name: `enrolment of a ${request.kind}`, by, expires_at: expiresAt.toISOString() }])
    })
    return { token, id, expiresAt }
  }

  /** @throws {EnrolmentError} */
  async enrol(request: { readonly tokenId: string; readonly csr: Buffer; readonly proof: Buffer }, peer: string): Promise<EnrolledNode> {
    if (!this.#limit.take(peer)) throw new EnrolmentError('TOO_MANY', 'too many enrolments from this address: wait a moment')
    const token = await this.repository.findToken(request.tokenId.slice(0, 64))
    // One text for an unknown token and a wrong proof: who doesn't hold the token learns nothing about it.
    if (!token || !verifyProof(token.secretHash, request.csr, request.proof)) throw new EnrolmentError('TOKEN_REFUSED', 'the enrolment token is not valid')
    if (token.usedAt) {
      await this.#alertReuse(token, peer)
      throw new EnrolmentError('TOKEN_REFUSED', 'the enrolment token was used already')
    }
    if (token.expiresAt.getTime() <= Date.now()) throw new EnrolmentError('TOKEN_REFUSED', 'the enrolment token has expired')
    const csr = await readRequest(request.csr)
    const nodeId = uuid()
    const kind = kindOf(token)
    const certificate = await this.#certify(nodeId, kind, token.name, csr, labelsOf(token))
    const key = await this.#vouch(nodeId, kind, csr.publicKeySpki)
    const now = new Date()
    const isFirst = await this.repository.transaction(async (tx) => {
      if (!(await this.repository.consumeToken(tx, token.id, now))) return false
      const namesake = await this.repository.byName(token.name, tx)
      if (namesake && !namesake.revokedAt) throw new EnrolmentError('NAME_TAKEN', `a ${namesake.kind} named ${token.name} is enrolled already`)
      if (namesake) await this.repository.rename(tx, namesake.id, `${namesake.name}~${namesake.id}`)
      await this.repository.create(tx, {
        id: nodeId,
        kind,
        name: token.name,
        labels: labelsOf(token),
        publicKey: new Uint8Array(csr.publicKeySpki),
        certificateSha256: certificate.sha256,
        enrolledAt: now,
      })
      await this.events.appendWithin(tx, [
        { kind: 'node.enrolled', node: nodeId, node_kind: kind, name: token.name, by: token.createdBy, detail: `token ${token.id} from ${peer.slice(0, 100)}`, key },
      ])
      return true
    })
    if (!isFirst) {
      await this.#alertReuse(token, peer)
      throw new EnrolmentError('TOKEN_REFUSED', 'the enrolment token was used already')
    }
    return { nodeId, name: token.name, certificate: certificate.der, trustBundle: (await this.keys.trustBundle()).json }
  }

  /** @throws {EnrolmentError} */
  async renew(request: { readonly nodeId: string; readonly csr: Buffer; readonly timeUnixSeconds: number; readonly signature: Buffer }, peer: string): Promise<EnrolledNode> {
    if (!this.#limit.take(peer)) throw new EnrolmentError('TOO_MANY', 'too many renewals from this address: wait a moment')
    const refused = (): EnrolmentError => new EnrolmentError('RENEWAL_REFUSED', 'the renewal is refused: the node is unknown or revoked, or the request is not signed by its key')
    const node = isUuid(request.nodeId) ? await this.repository.find(request.nodeId) : null
    if (!node || node.revokedAt) throw refused()
    const signed = Buffer.concat([renewPrefix, request.csr, Buffer.from(String(request.timeUnixSeconds))])
    const key = createPublicKey({ key: Buffer.from(node.publicKey), format: 'der', type: 'spki' })
    if (request.signature.length !== 64 || !verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, request.signature)) throw refused()
    if (Math.abs(Date.now() / 1000 - request.timeUnixSeconds) > freshnessSeconds) {
      throw new EnrolmentError('RENEWAL_REFUSED', "the renewal's time is more than five minutes off: check this machine's clock")
    }
    const csr = await readRequest(request.csr)
    const certificate = await this.#certify(node.id, kindOf(node), node.name, csr, labelsOf(node))
    const next = { publicKey: csr.publicKeySpki, certificateSha256: certificate.sha256 }
    const rekeyed = Buffer.compare(node.publicKey, csr.publicKeySpki) === 0 ? undefined : await this.#vouch(node.id, kindOf(node), csr.publicKeySpki)
    const renewed = await this.repository.transaction(async (tx) => {
      const done = await this.repository.renew(tx, node.id, node.publicKey, BigInt(request.timeUnixSeconds), next)
      if (done && rekeyed !== undefined) await this.events.appendWithin(tx, [{ kind: 'node.rekeyed', node: node.id, node_kind: kindOf(node), name: node.name, key: rekeyed }])
      return done
    })
    if (!renewed) throw refused()
    return { nodeId: node.id, name: node.name, certificate: certificate.der, trustBundle: (await this.keys.trustBundle()).json }
  }

  /** Signs that this is the node's key: what the node signs is believed by this alone, wherever the log is read. */
  #vouch(node: string, kind: NodeKind, spki: Uint8Array): Promise<string> {
    const statement: NodeKeyStatement = { node, kind, public_key: Buffer.from(spki).toString('base64'), iat: Math.floor(Date.now() / 1000) }
    return this.keys.sign(nodeKeyType, statement)
  }

  /** Gateways serve and dial, and bear names; agents dial only and bear none. */
  async #certify(nodeId: string, kind: NodeKind, name: string, csr: NodeRequest, labels: Readonly<Record<string, string>>) {
    const names = kind === 'gateway' ? permittedNames(csr, labels) : { dnsNames: [], ipAddresses: [] }
    const authority = await this.keys.authority()
    return authority.issue({ commonName: name.slice(0, 64), publicKey: csr.publicKey, uri: `sallyport:${kind}:${nodeId}`, ...names, server: kind === 'gateway', days: certificateDays })
  }

  /** Someone holds a token that another used: one of the two wasn't meant to. */
  async #alertReuse(token: EnrolmentTokenRow, peer: string): Promise<void> {
    if (!this.#alerts.take(token.id)) return
    await this.events.append({
      kind: 'alert',
      code: 'ENROLMENT_TOKEN_REUSED',
      message: `a used enrolment token for the ${token.kind} ${token.name} was presented again`,
      detail: { token: token.id, peer: peer.slice(0, 100) },
    })
  }
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
}
