import { isIPv4 } from 'node:net'
import path from 'node:path'
import type { CredentialResolver, VerifiedGrant } from '@sallyport/kit'
import { z } from 'zod'
import type { KubernetesTarget } from '../analyse/index.js'
import { ApiServer, credentialUnavailable, UpstreamError, type ApiServerOptions } from './api-server.js'
import { readKubeconfig } from './kubeconfig.js'
import { readAll } from './read-all.js'

/** Where a pod finds its service account (Kubernetes: "Accessing the Kubernetes API from a Pod"). */
const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'

interface Source {
  readonly server: string
  readonly ca: string | undefined
  readonly serverName: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly token: (() => Promise<string>) | undefined
}

/**
 * The API server of one session, with the credential that the target's document names.
 * @throws {UpstreamError} when the credential can't be read; the text never holds it
 */
export async function openApiServer(spec: KubernetesTarget, credentials: CredentialResolver, grant: VerifiedGrant): Promise<ApiServer> {
  const source = await sourceOf(spec, credentials)
  const url = httpsUrl(spec.server ?? source.server)
  const ca = spec.ca === undefined ? source.ca : spec.ca.startsWith('file:') ? await resolve(credentials, spec.ca) : spec.ca
  const base: ApiServerOptions = {
    url,
    ca,
    serverName: spec.serverName ?? source.serverName,
    cert: source.cert,
    key: source.key,
    insecure: spec.insecureSkipVerify === true && isLoopback(url.hostname),
    authorization: async () => bearer(source.token === undefined ? undefined : await source.token()),
  }
  const impersonation = impersonationOf(spec, grant)
  const { tokenRequest } = spec
  if (tokenRequest === undefined) return new ApiServer({ ...base, authorization: async () => ({ ...(await base.authorization()), ...impersonation }) })
  const minter = new ApiServer(base)
  const minted = new MintedToken(minter, tokenRequest)
  // What mints may do more than what is minted: a client certificate would speak louder than the token.
  return new ApiServer({ ...base, cert: undefined, key: undefined, authorization: async () => ({ ...bearer(await minted.token()), ...impersonation }) })
}

async function sourceOf(spec: KubernetesTarget, credentials: CredentialResolver): Promise<Source> {
  const { credential } = spec
  const none = { server: '', ca: undefined, serverName: undefined, cert: undefined, key: undefined, token: undefined }
  if ('token' in credential) return { ...none, token: reread(() => resolve(credentials, credential.token)) }
  if ('clientCertificate' in credential) {
    const { cert, key } = credential.clientCertificate
    return { ...none, cert: await resolve(credentials, cert), key: await resolve(credentials, key) }
  }
  if ('kubeconfig' in credential) {
    const { file, context } = credential.kubeconfig
    return readKubeconfig(await resolve(credentials, file), context, path.dirname(file.slice(file.indexOf(':') + 1)))
  }
  const host = process.env['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = process.env['KUBERNETES_SERVICE_PORT'] ?? '443'
  return {
    ...none,
    server: host === '' ? '' : `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca: await resolve(credentials, `file:${serviceAccountFolder}/ca.crt`),
    // The kubelet renews it.
    token: reread(() => resolve(credentials, `file:${serviceAccountFolder}/token`)),
  }
}

/** How long a token that was read is shown again. What renews token files leaves both valid for far longer. */
const rereadMilliseconds = 10_000

/** Reads a token again only after some seconds: a session's hundredth request must not wait for the disk or for a program. */
export function reread(read: () => Promise<string>, now: () => number = () => performance.now()): () => Promise<string> {
  let last: { readonly token: Promise<string>; readonly until: number } | undefined
  return () => {
    if (last !== undefined && now() < last.until) return last.token
    const token = read()
    const mine = { token, until: now() + rereadMilliseconds }
    last = mine
    token.catch(() => {
      if (last === mine) last = undefined
    })
    return token
  }
}

async function resolve(credentials: CredentialResolver, reference: string): Promise<string> {
  try {
    return (await credentials.resolve(reference)).expose().trim()
  } catch {
    throw credentialUnavailable()
  }
}

function httpsUrl(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined
  if (url?.protocol !== 'https:' || url.username !== '' || url.search !== '' || url.hash !== '') {
    throw new UpstreamError('TARGET_UNREACHABLE', "the target's document names no API server that can be reached over https", 'Set `server` in the target, or a kubeconfig that has one.')
  }
  return url
}

function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'))
}

/**
 * Impersonation headers (Kubernetes: "User impersonation"), so that the cluster's own RBAC and audit log see who it is. What
 * a template takes from the identity is percent-encoded where it would change a header's meaning.
 */
function impersonationOf(spec: KubernetesTarget, grant: VerifiedGrant): Record<string, string | string[]> {
  const { impersonate } = spec
  if (impersonate === undefined) return {}
  const { identity, sid } = grant.payload
  const fill = (template: string): string =>
    template.replace(/\{([^{}]*)\}/g, (_all, name: string) => {
      const value = name === 'identity.name' ? identity.name : name === 'identity.kind' ? identity.kind : name === 'session' ? sid : name.startsWith('claims.') ? identity.claims[name.slice('claims.'.length)] : undefined
      // A name that is missing must not become another user's.
      if (value === undefined || value === '') throw new UpstreamError('CREDENTIAL_UNAVAILABLE', `the target impersonates by ${name}, which this identity doesn't have`, "Change `impersonate` in the target's document.")
      return encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%40', '@').replaceAll('%2F', '/')
    })
  const groups = impersonate.groups?.map(fill) ?? []
  const extra = Object.entries(impersonate.extra ?? {}).map(([name, value]) => [`impersonate-extra-${encodeURIComponent(name)}`, fill(value)] as const)
  return { 'impersonate-user': fill(impersonate.user), ...(groups.length === 0 ? {} : { 'impersonate-group': groups }), ...Object.fromEntries(extra) }
}

const tokenAnswerSchema = z.object({ status: z.object({ token: z.string().min(1), expirationTimestamp: z.string() }) })
const maxTokenAnswerBytes = 64 * 1024
const renewAt = 0.8

/** A token for a service account, minted for this session (Kubernetes: TokenRequest API) and renewed before it expires. */
class MintedToken {
  #current: { readonly token: string; readonly renewAt: number } | undefined
  #minting: Promise<string> | undefined

  constructor(
    private readonly server: ApiServer,
    private readonly request: NonNullable<KubernetesTarget['tokenRequest']>,
  ) {}

  token(): Promise<string> {
    if (this.#current !== undefined && Date.now() < this.#current.renewAt) return Promise.resolve(this.#current.token)
    this.#minting ??= this.#mint().finally(() => (this.#minting = undefined))
    return this.#minting
  }

  async #mint(): Promise<string> {
    const { serviceAccount, ttlSeconds, audiences } = this.request
    const [namespace = '', name = ''] = serviceAccount.split('/')
    const body = Buffer.from(
      JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: ttlSeconds, ...(audiences === undefined ? {} : { audiences }) } }),
    )
    const response = await this.server.send({
      method: 'POST',
      target: `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body,
      signal: AbortSignal.timeout(15_000),
    })
    const text = await readAll(response, maxTokenAnswerBytes)
    const answer = response.statusCode === 201 ? tokenAnswerSchema.safeParse(parseJson(text)) : undefined
    if (!answer?.success) {
      throw new UpstreamError('CREDENTIAL_UNAVAILABLE', `the API server minted no token for the service account ${serviceAccount} (status ${response.statusCode ?? 0})`, "The agent's own account needs `create` on serviceaccounts/token there.")
    }
    const { token, expirationTimestamp } = answer.data.status
    const now = Date.now()
    const until = Date.parse(expirationTimestamp)
    this.#current = { token, renewAt: Number.isNaN(until) ? now : now + (until - now) * renewAt }
    return token
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
