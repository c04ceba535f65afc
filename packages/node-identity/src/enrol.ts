import { credentials, Metadata, status, type ChannelCredentials, type ServiceError } from '@grpc/grpc-js'
import { EnrolmentClient, type EnrolReplyReceived, type EnrolmentStub } from '@sallyport/proto'
import { IdentityError } from './errors.js'
import { linkChannelOptions, NodeIdentity } from './identity.js'
import { certificateRequest, loadOrMakeKey } from './keys.js'
import type { NodeKind } from './names.js'
import { enrolmentProof, parseEnrolmentToken } from './token.js'
import { checkOwnCertificate, fingerprint, openTrustBundle } from './trust.js'

export interface EnrolOptions {
  /** host:port of the control plane, or of a gateway's enrolment listener. */
  readonly endpoint: string
  readonly token: string
  readonly kind: NodeKind
  /** Gateways: the names under which clients reach it. */
  readonly hostnames?: readonly string[]
  readonly dataDir: string
  /** How long to wait for the endpoint. Default 30 s. */
  readonly timeoutMilliseconds?: number
  readonly now?: () => Date
}

/**
 * Makes this node's key and has it certified with a one-time token. The identity is on disk when it resolves.
 * @throws {IdentityError}
 */
export async function enrol(options: EnrolOptions): Promise<NodeIdentity> {
  const token = parseEnrolmentToken(options.token)
  const hostnames = options.hostnames ?? []
  const key = await loadOrMakeKey(options.dataDir)
  const csr = await certificateRequest(key, options.kind, hostnames)
  const request = { tokenId: token.id, csr, proof: enrolmentProof(token.secret, csr) }
  const reply = await ask(options.endpoint, anyServer(), options.timeoutMilliseconds, (client, metadata, call, done) =>
    client.enrol(request, metadata, call, done),
  )
  const trust = openTrustBundle(reply.trustBundle, token.fingerprint)
  const now = options.now?.() ?? new Date()
  const certificate = checkOwnCertificate(reply.certificate, { trust, key, kind: options.kind, nodeId: reply.nodeId, now })
  const { dataDir, kind } = options
  const identity = new NodeIdentity({ dataDir, kind, nodeId: reply.nodeId, name: reply.name, hostnames, key, certificate, trustBundle: reply.trustBundle })
  await identity.save()
  return identity
}

export interface RenewOptions {
  /** The control plane (gateways) or a gateway's enrolment listener (agents). */
  readonly endpoint: string
  readonly peer: 'gateway' | 'control-plane'
  readonly now?: () => Date
  readonly timeoutMilliseconds?: number
  /** Gateways whose names changed renew at once. */
  readonly hostnames?: readonly string[]
}

/**
 * Renews the certificate when less than a third of its life is left; otherwise returns the identity it was given.
 * The key stays the same. The trust bundle must stay the same too: whoever relays the reply could otherwise put keys of
 * its own in, and forge grants from then on.
 * @throws {IdentityError} the old identity goes on being good until it expires
 */
export async function renewIfNeeded(identity: NodeIdentity, options: RenewOptions): Promise<NodeIdentity> {
  const now = options.now?.() ?? new Date()
  const hostnames = options.hostnames ?? identity.hostnames
  const sameNames = hostnames.length === identity.hostnames.length && hostnames.every((name) => identity.hostnames.includes(name))
  const { validFromDate, validToDate } = identity.certificate
  const life = validToDate.getTime() - validFromDate.getTime()
  if (sameNames && validToDate.getTime() - now.getTime() > life / 3) return identity

  const csr = await certificateRequest(identity.key, identity.kind, hostnames)
  const timeUnixSeconds = Math.floor(now.getTime() / 1000)
  const request = { nodeId: identity.nodeId, csr, timeUnixSeconds, signature: identity.signRenewal(csr, timeUnixSeconds) }
  const reply = await ask(options.endpoint, serverOfOurs(identity), options.timeoutMilliseconds, (client, metadata, call, done) =>
    client.renew(request, metadata, call, done),
  )
  const trust = openTrustBundle(reply.trustBundle, fingerprint(identity.trustBundle))
  const { kind, nodeId, key, dataDir } = identity
  const certificate = checkOwnCertificate(reply.certificate, { trust, key, kind, nodeId, now })
  const renewed = new NodeIdentity({ dataDir, kind, nodeId, name: reply.name, hostnames, key, certificate, trustBundle: reply.trustBundle })
  await renewed.save()
  return renewed

  function serverOfOurs(own: NodeIdentity): ChannelCredentials {
    return own.channelCredentials(options.peer)
  }
}

/**
 * TLS that accepts any certificate, for Enrol alone: a node that has only a token knows no CA yet. Nothing rests on the
 * server's certificate: the request proves the token's secret without revealing it and is bound to our key, and the
 * reply's keys must have the fingerprint that stands in the token. Someone in between can only refuse.
 */
function anyServer(): ChannelCredentials {
  return credentials.createSsl(null, null, null, { rejectUnauthorized: false, checkServerIdentity: () => undefined })
}

type Call = (
  client: EnrolmentStub,
  metadata: Metadata,
  options: { deadline: Date },
  done: (error: ServiceError | null, reply?: EnrolReplyReceived) => void,
) => void

async function ask(endpoint: string, channel: ChannelCredentials, timeoutMilliseconds = 30_000, call: Call): Promise<EnrolReplyReceived> {
  const client = new EnrolmentClient(endpoint, channel, linkChannelOptions)
  try {
    return await new Promise((resolve, reject) => {
      const deadline = new Date(Date.now() + timeoutMilliseconds)
      call(client, new Metadata({ waitForReady: true }), { deadline }, (error, reply) => {
        if (error) reject(explain(error, endpoint))
        else if (reply === undefined) reject(new IdentityError('UNREACHABLE', `${endpoint} gave no reply`))
        else resolve(reply)
      })
    })
  } finally {
    client.close()
  }
}

function explain(error: ServiceError, endpoint: string): IdentityError {
  const transient = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED, status.UNIMPLEMENTED].includes(error.code)
  if (transient) return new IdentityError('UNREACHABLE', `no enrolment service answered at ${endpoint}`, { cause: error })
  return new IdentityError('ENROLMENT_REFUSED', `the control plane refused: ${error.details}`, { cause: error })
}
