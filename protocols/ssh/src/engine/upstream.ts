import type { CredentialResolver } from '@sallyport/kit'
import { generateKeyPair, parsePrivateKey, signCertificate } from '@sallyport/ssh-keys'
import ssh2, { type AnyAuthMethod, type Client } from 'ssh2'
import { Socket } from 'node:net'
import { algorithms, targetHostKeyAlgorithms } from '../algorithms.js'
import { hostAndPort, type SshTarget } from '../target-spec.js'
import { guardTransport } from '../transport-guard.js'
import { authenticateWithCertificate } from './certificate-auth.js'

const connectMilliseconds = 15_000
const keepAliveMilliseconds = 30_000

/** The target can't be reached or doesn't let the agent in. Texts never hold a credential. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  constructor(
    readonly code: string,
    message: string,
    readonly hint: string,
  ) {
    super(message)
  }
}

/** Who opens the session, for the certificate's key id, which the host's own log shows. */
export interface UpstreamIdentity {
  readonly session: string
  readonly identity: string
}

/**
 * Connects to the target and logs in, one connection for a whole session. Its host key must be one of those pinned in
 * the target's document.
 * @throws {UpstreamError}
 */
export async function connectUpstream(target: SshTarget, credentials: CredentialResolver, who: UpstreamIdentity, signal: AbortSignal): Promise<Client> {
  const username = target.login ?? target.logins[0] ?? ''
  const { host, port } = hostAndPort(target.address)
  const pinned = target.hostKeys.map((line) => Buffer.from(line.split(' ')[1] ?? '', 'base64'))
  const types = new Set(target.hostKeys.map((line) => line.split(' ')[0]))
  // Only algorithms of keys that are pinned, or the host would show another of its keys.
  const serverHostKey = targetHostKeyAlgorithms.filter((name) => target.hostKeyCheck === 'none' || types.has(name.startsWith('rsa-') ? 'ssh-rsa' : name))
  const method = await authMethod(target, username, credentials, who)
  signal.throwIfAborted()
  const client = new ssh2.Client()
  let stranger = false
  return new Promise<Client>((resolve, reject) => {
    const onAbort = (): void => fail(new UpstreamError('CANCELLED', 'the session ended', ''))
    const fail = (error: UpstreamError): void => {
      signal.removeEventListener('abort', onAbort)
      client.removeAllListeners()
      // What still comes from a connection that was given up.
      client.on('error', () => undefined)
      client.destroy()
      reject(error)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    client.once('ready', () => {
      signal.removeEventListener('abort', onAbort)
      client.removeAllListeners('error')
      resolve(client)
    })
    client.on('error', (error) => fail(upstreamError(error, target, username, stranger)))
    client.once('close', () => fail(new UpstreamError('TARGET_UNREACHABLE', `${target.address} closed the connection before the login was over`, 'Ask the owner of the target; sshd may limit unauthenticated connections (MaxStartups).')))
    try {
      client.connect({
        host,
        port,
        username,
        algorithms: { ...algorithms, serverHostKey: [...serverHostKey] },
        readyTimeout: connectMilliseconds,
        keepaliveInterval: keepAliveMilliseconds,
        keepaliveCountMax: 3,
        hostVerifier: (key: Buffer) => {
          const known = target.hostKeyCheck === 'none' || pinned.some((one) => one.equals(key))
          stranger = !known
          return known
        },
        authHandler: [method.method],
      })
      const socket: unknown = Reflect.get(client, '_sock')
      const guarded = socket instanceof Socket && guardTransport(client, socket, { violated: () => client.destroy() })
      if (!guarded) throw new Error('ssh2 has changed')
      if (method.certificate !== undefined && !authenticateWithCertificate(client, method.certificate)) throw new Error('ssh2 has changed')
    } catch {
      fail(new UpstreamError('INTERNAL', 'internal error in the agent: the connection could not be begun', 'Tell your platform team.'))
    }
  })
}

type Certificate = Parameters<typeof authenticateWithCertificate>[1]

async function authMethod(target: SshTarget, username: string, credentials: CredentialResolver, who: UpstreamIdentity): Promise<{ method: AnyAuthMethod; certificate?: Certificate }> {
  const { credential } = target
  try {
    if ('password' in credential) return { method: { type: 'password', username, password: (await credentials.resolve(credential.password)).expose() } }
    if ('privateKey' in credential) return { method: { type: 'publickey', username, key: (await credentials.resolve(credential.privateKey)).expose() } }
    const caKey = (await credentials.resolve(credential.certificate.caKey)).expose()
    const pair = generateKeyPair()
    const now = Date.now()
    const certificate = signCertificate({
      authority: parsePrivateKey(caKey),
      subject: pair.publicKey,
      serial: BigInt(now),
      keyId: `sallyport ${who.identity} ${who.session}`,
      principals: [username],
      // Clocks differ a little.
      validAfter: new Date(now - 60_000),
      validBefore: new Date(now + seconds(credential.certificate.ttl) * 1000),
      extensions: ['permit-pty', 'permit-port-forwarding'],
    })
    return {
      method: { type: 'publickey', username, key: pair.privateKeyPem },
      certificate: { algorithm: certificate.algorithm, blob: certificate.blob, key: pair.privateKey },
    }
  } catch {
    throw new UpstreamError('CREDENTIAL_UNAVAILABLE', "the agent can't read the target's credential, or it is not of the kind that the target's document says", 'Tell your platform team. The agent reads only references that SALLYPORT_AGENT_CREDENTIALS lists.')
  }
}

function seconds(duration: string): number {
  return Number(duration.slice(0, -1)) * (duration.endsWith('m') ? 60 : 1)
}

function upstreamError(error: Error & { level?: string }, target: SshTarget, username: string, stranger: boolean): UpstreamError {
  if (stranger) {
    return new UpstreamError('HOST_KEY_MISMATCH', `the host key of ${target.address} is not one of those pinned for this target: it may be another machine`, "Nothing was sent to it. If the host was reinstalled, its owner updates hostKeys in the target's document.")
  }
  if (error.level === 'client-authentication') {
    return new UpstreamError('TARGET_LOGIN_FAILED', `${target.address} refused the agent's login as ${username}`, 'The account or the credential of the agent is not known there; tell your platform team.')
  }
  if (/no matching/i.test(error.message)) {
    return new UpstreamError('TARGET_UNREACHABLE', `${target.address} offers no algorithm or host key type that is taken (${error.message.slice(0, 120)})`, 'Old algorithms are refused on purpose: update the SSH server.')
  }
  const code = 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : ''
  return new UpstreamError('TARGET_UNREACHABLE', `the agent can't reach ${target.address}${code}`, 'Is the host up, and reachable from the agent?')
}
