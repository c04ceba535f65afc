import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CliError, usageError } from './errors.js'
import { asFields } from './http/record.js'

/** How to reach the control plane. */
export interface Connection {
  readonly url: URL
  /** API token of a user (`spt_…`). */
  readonly token?: string
  /** PEM of one more authority. */
  readonly ca?: string
}

export interface GlobalOptions {
  readonly url?: string
  readonly apiTokenFile?: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Options win over environment, environment over the configuration file: SALLYPORT_URL, SALLYPORT_TOKEN,
 * SALLYPORT_CA_FILE; the file is SALLYPORT_CONFIG or ~/.config/sallyport/config.json, with `url`, `token` or
 * `tokenFile`, `caFile`. The working directory is never looked at: a checked-out repository must not be able to say
 * where a job's token is sent.
 */
export function readConnection(options: GlobalOptions, env: Environment): Connection {
  const file = readConfigFile(env)
  const address = options.url ?? env['SALLYPORT_URL'] ?? file['url']
  if (typeof address !== 'string' || address === '') {
    throw usageError("the control plane's address isn't known", 'set SALLYPORT_URL, or give --url https://sallyport.example.com')
  }
  const url = parseUrl(address, env)
  const caFile = env['SALLYPORT_CA_FILE'] ?? file['caFile']
  const token = options.apiTokenFile !== undefined ? readFile(options.apiTokenFile, 'the API token') : (env['SALLYPORT_TOKEN'] ?? tokenOf(file))
  return {
    url,
    ...(token === undefined || token === '' ? {} : { token }),
    ...(typeof caFile === 'string' ? { ca: readFile(caFile, 'the certificate authority') } : {}),
  }
}

/** The files that the configuration comes from, and whether a secret is in them. */
export function configFiles(options: GlobalOptions, env: Environment): { readonly path: string; readonly secret: boolean }[] {
  const path = configPath(env)
  const file = readConfigFile(env)
  const tokenFile = options.apiTokenFile ?? (env['SALLYPORT_TOKEN'] === undefined ? file['tokenFile'] : undefined)
  return [
    ...(existsSync(path) ? [{ path, secret: typeof file['token'] === 'string' }] : []),
    ...(typeof tokenFile === 'string' ? [{ path: tokenFile, secret: true }] : []),
  ]
}

const configPath = (env: Environment): string => env['SALLYPORT_CONFIG'] ?? join(env['XDG_CONFIG_HOME'] ?? join(homedir(), '.config'), 'sallyport', 'config.json')

/** Reads a small text file; the error says what it was for. */
export function readFile(path: string, purpose: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new CliError(`can't read ${purpose} from ${path}`, { why: error instanceof Error ? error.message : String(error) })
  }
}

function parseUrl(address: string, env: Environment): URL {
  if (!URL.canParse(address)) throw usageError(`'${address}' is no URL`, 'it looks like https://sallyport.example.com')
  const url = new URL(address)
  if (url.protocol === 'https:') return url
  if (url.protocol !== 'http:') throw usageError(`'${address}' is no http(s) URL`)
  const loopback = url.hostname === 'localhost' || url.hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(url.hostname)
  if (!loopback && env['SALLYPORT_INSECURE_HTTP'] !== 'true') {
    throw usageError(`${url.origin} is not encrypted, and tokens would be readable on the way`, 'use https, or set SALLYPORT_INSECURE_HTTP=true where the network is yours')
  }
  return url
}

function readConfigFile(env: Environment): Readonly<Record<string, unknown>> {
  const path = configPath(env)
  if (env['SALLYPORT_CONFIG'] === undefined && !existsSync(path)) return {}
  const content = readFile(path, 'the configuration')
  try {
    return asFields(JSON.parse(content))
  } catch {
    throw new CliError(`${path} is not valid JSON`)
  }
}

function tokenOf(file: Readonly<Record<string, unknown>>): string | undefined {
  if (typeof file['token'] === 'string') return file['token']
  return typeof file['tokenFile'] === 'string' ? readFile(file['tokenFile'], 'the API token') : undefined
}
