import { existsSync } from 'node:fs'
import { readFile } from '../config.js'
import { CliError, exitCode } from '../errors.js'

/** Kubernetes mounts it there when the pod has a projected service-account token volume with our audience. */
export const kubernetesTokenFile = '/var/run/secrets/tokens/sallyport'

export interface IdentityToken {
  readonly jwt: string
  /** Where it was found, for messages. */
  readonly source: string
}

export interface TokenSearch {
  readonly tokenFile?: string
  readonly audience: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly kubernetesTokenFile?: string
  readonly fetch?: typeof fetch
}

/**
 * Finds the job's own OIDC token: --token-file, SALLYPORT_ID_TOKEN (GitLab's `id_tokens:`), GitHub Actions' token
 * endpoint, Kubernetes' projected token. Undefined when there is none. Rejects when there should be one and isn't.
 */
export async function findIdentityToken(search: TokenSearch): Promise<IdentityToken | undefined> {
  const { env } = search
  if (search.tokenFile !== undefined) return checked(readFile(search.tokenFile, "the job's token"), search.tokenFile)
  const inEnvironment = env['SALLYPORT_ID_TOKEN']
  if (inEnvironment !== undefined && inEnvironment !== '') return checked(inEnvironment.trim(), 'SALLYPORT_ID_TOKEN')
  if (env['GITHUB_ACTIONS'] === 'true') return githubToken(search)
  const projected = search.kubernetesTokenFile ?? kubernetesTokenFile
  if (existsSync(projected)) return checked(readFile(projected, "the job's token"), projected)
  return undefined
}

/** What to say when nothing was found and nobody is signed in either. */
export function noIdentityError(): CliError {
  return new CliError('no identity to ask with', {
    exit: exitCode.denied,
    why: `looked for --token-file, SALLYPORT_ID_TOKEN (GitLab id_tokens), GitHub Actions' token endpoint, ${kubernetesTokenFile} and an API token`,
    next: 'in CI let the job have an OIDC token with audience `sallyport`; as a person set SALLYPORT_TOKEN',
  })
}

async function githubToken(search: TokenSearch): Promise<IdentityToken> {
  const endpoint = search.env['ACTIONS_ID_TOKEN_REQUEST_URL']
  const bearer = search.env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']
  if (endpoint === undefined || bearer === undefined) {
    throw new CliError('GitHub gave this job no right to ask for a token', {
      why: 'ACTIONS_ID_TOKEN_REQUEST_URL is not set',
      next: 'add to the workflow or job:  permissions: { id-token: write, contents: read }',
    })
  }
  const url = new URL(endpoint)
  url.searchParams.set('audience', search.audience)
  const response = await (search.fetch ?? fetch)(url, {
    headers: { authorization: `Bearer ${bearer}`, accept: 'application/json' },
    signal: AbortSignal.timeout(15_000),
  }).catch((error: unknown) => {
    throw new CliError("can't reach GitHub's token endpoint", { why: error instanceof Error ? error.message : String(error) })
  })
  if (!response.ok) throw new CliError(`GitHub's token endpoint answered ${response.status}`)
  const body: unknown = await response.json()
  const value = typeof body === 'object' && body !== null && 'value' in body ? body.value : undefined
  if (typeof value !== 'string') throw new CliError("GitHub's token endpoint answered without a token")
  return checked(value, 'GitHub Actions')
}

/** A quick look that it is a JWT at all; what it is worth, the control plane decides. The token is never quoted. */
function checked(jwt: string, source: string): IdentityToken {
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(jwt)) throw new CliError(`what ${source} holds is no OIDC token`, { why: 'a token is three parts of base64url with dots between' })
  return { jwt, source }
}
