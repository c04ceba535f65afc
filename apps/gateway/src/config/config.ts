import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { parse } from 'yaml'
import { z } from 'zod'
import { hostPort, settings, type HostPort, type Setting } from './settings.js'

export interface ListenerConfig extends HostPort {
  readonly protocol: string
  /** Where clients reach it, when that isn't one of the host names with the listener's port. */
  readonly publicAddress: HostPort | undefined
}

export interface GatewayConfig {
  readonly dataDir: string
  readonly controlPlane: string
  readonly enrolmentToken: string | undefined
  readonly hostnames: readonly string[]
  readonly tunnelListen: HostPort
  readonly opsListen: HostPort
  /** Undefined: the node's own certificate. */
  readonly tlsFiles: { readonly cert: string; readonly key: string } | undefined
  readonly insecurePlaintext: boolean
  readonly handshakeMilliseconds: number
  readonly maxUnauthenticated: number
  readonly maxUnauthenticatedPerAddress: number
  readonly maxSessions: number
  readonly drainMilliseconds: number
  readonly listeners: readonly ListenerConfig[]
}

/** What is wrong, each with its name; values are never quoted. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  constructor(readonly problems: readonly string[]) {
    super(problems.join('; '))
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/** The listen address of one protocol. */
export function listenSetting(protocol: string, defaultListen: string): Setting<HostPort> {
  return {
    env: `SALLYPORT_GATEWAY_LISTEN_${protocol.toUpperCase()}`,
    default: defaultListen,
    doc: `host:port of the ${protocol} listener.`,
    read: hostPort,
  }
}

/** Under which address the host keys of a protocol are published. */
export function publicAddressSetting(protocol: string): Setting<HostPort> {
  return {
    env: `SALLYPORT_GATEWAY_PUBLIC_ADDRESS_${protocol.toUpperCase()}`,
    doc: `host:port under which ${protocol} clients reach this gateway: its host keys are published for it. Default: SALLYPORT_GATEWAY_HOSTNAMES with the listener’s port.`,
    read: hostPort,
  }
}

/**
 * Reads the settings from the environment, and those that it lacks from the YAML file that SALLYPORT_GATEWAY_CONFIG
 * names. A YAML key is the variable's name without SALLYPORT_GATEWAY_ or SALLYPORT_, in lower case.
 * @throws {ConfigError} with every problem at once
 */
export async function loadConfig(
  environment: Environment,
  hosted: readonly { readonly front: { readonly protocol: string; readonly usesHostKeys?: true }; readonly defaultListen: string }[],
): Promise<GatewayConfig> {
  const problems: string[] = []
  const listens = hosted.map(({ front, defaultListen }) => ({
    protocol: front.protocol,
    setting: listenSetting(front.protocol, defaultListen),
    address: front.usesHostKeys ? publicAddressSetting(front.protocol) : undefined,
  }))
  const ofListeners = listens.flatMap(({ setting, address }) => [setting.env, ...(address ? [address.env] : [])])
  const known = new Set([...Object.values(settings).map(({ env }) => env), ...ofListeners].map(yamlKey))
  const file = await readYaml(environment['SALLYPORT_GATEWAY_CONFIG'], known, problems)

  const read = <T>(setting: Setting<T>): T | undefined => {
    const given = environment[setting.env] ?? file.get(yamlKey(setting.env)) ?? setting.default
    if (given === undefined || given === '') return undefined
    const result = setting.read.safeParse(given)
    if (result.success) return result.data
    problems.push(`${setting.env} ${result.error.issues[0]?.message ?? 'is invalid'}`)
    return undefined
  }
  const required = <T>(setting: Setting<T>, fallback: T): T => read(setting) ?? fallback
  const none: HostPort = { host: '', port: 0 }

  const listeners = listens.map(({ protocol, setting, address }) => ({ protocol, ...required(setting, none), publicAddress: address && read(address) }))
  const values = {
    dataDir: required(settings.dataDir, ''),
    controlPlane: required(settings.controlPlane, ''),
    enrolmentToken: read(settings.enrolmentToken),
    enrolmentTokenFile: read(settings.enrolmentTokenFile),
    hostnames: required(settings.hostnames, []),
    tunnelListen: required(settings.tunnelListen, none),
    opsListen: required(settings.opsListen, none),
    tlsCertFile: read(settings.tlsCertFile),
    tlsKeyFile: read(settings.tlsKeyFile),
    insecurePlaintext: required(settings.insecurePlaintext, false),
    handshakeMilliseconds: required(settings.handshakeMilliseconds, 0),
    maxUnauthenticated: required(settings.maxUnauthenticated, 0),
    maxUnauthenticatedPerAddress: required(settings.maxUnauthenticatedPerAddress, 0),
    maxSessions: required(settings.maxSessions, 0),
    drainMilliseconds: required(settings.drainMilliseconds, 0),
  }
  const { tlsCertFile: cert, tlsKeyFile: key, enrolmentTokenFile, ...rest } = values
  if ((cert === undefined) !== (key === undefined)) {
    problems.push(`${settings.tlsCertFile.env} and ${settings.tlsKeyFile.env} belong together`)
  }
  if (values.insecurePlaintext && listeners.some(({ host }) => !isLoopback(host))) {
    problems.push(`${settings.insecurePlaintext.env} is allowed on loopback listeners only`)
  }
  const enrolmentToken = values.enrolmentToken ?? (await readToken(enrolmentTokenFile, problems))
  if (problems.length > 0) throw new ConfigError(problems)
  return { ...rest, enrolmentToken, tlsFiles: cert === undefined || key === undefined ? undefined : { cert, key }, listeners }
}

function yamlKey(env: string): string {
  return env.replace(/^SALLYPORT_(GATEWAY_)?/, '').toLowerCase()
}

async function readYaml(path: string | undefined, known: ReadonlySet<string>, problems: string[]): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  if (path === undefined || path === '') return found
  let content: unknown
  try {
    content = parse(await readFile(path, 'utf8'))
  } catch {
    problems.push('SALLYPORT_GATEWAY_CONFIG names a file that can’t be read as YAML')
    return found
  }
  const entries = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])).safeParse(content ?? {})
  if (!entries.success) {
    problems.push('SALLYPORT_GATEWAY_CONFIG must hold plain keys with text, numbers, booleans or lists of text')
    return found
  }
  for (const [key, value] of Object.entries(entries.data)) {
    if (known.has(key)) found.set(key, Array.isArray(value) ? value.join(',') : String(value))
    else problems.push(`SALLYPORT_GATEWAY_CONFIG has the unknown key ${key}`)
  }
  return found
}

async function readToken(path: string | undefined, problems: string[]): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    // The file of a one-time token is often removed after the first start; enrolment says so when it is needed.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    problems.push(`${settings.enrolmentTokenFile.env} names a file that can’t be read`)
    return undefined
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
