import fs from 'node:fs'
import { z } from 'zod'

/** The agent's configuration: environment variables, each with its default. docs/operations.md lists them. */
const schema = z.object({
  SALLYPORT_AGENT_DATA_DIR: z.string().default('./.sallyport/agent'),
  SALLYPORT_AGENT_GATEWAYS: z.string().min(1, 'name at least one gateway tunnel address, host:port'),
  SALLYPORT_AGENT_ENROL: z.string().optional(),
  SALLYPORT_ENROLMENT_TOKEN: z.string().optional(),
  SALLYPORT_ENROLMENT_TOKEN_FILE: z.string().optional(),
  SALLYPORT_AGENT_OPS_LISTEN: z.string().default('127.0.0.1:0'),
  SALLYPORT_AGENT_CREDENTIALS: z.string().default('env:SALLYPORT_TARGET_*,file:/etc/sallyport/credentials/*'),
  SALLYPORT_AGENT_SPOOL_MAX_BYTES: z.coerce.number().int().min(8 * 1024 * 1024).default(256 * 1024 * 1024),
  SALLYPORT_AGENT_SPOOL_MAX_AGE_SECONDS: z.coerce.number().int().min(1).default(300),
  SALLYPORT_AGENT_AUDIT_WAIT_SECONDS: z.coerce.number().int().min(1).max(300).default(10),
  SALLYPORT_AGENT_MAX_SESSIONS: z.coerce.number().int().positive().default(2000),
  SALLYPORT_AGENT_DRAIN_SECONDS: z.coerce.number().int().min(0).default(30),
})

export interface AgentConfig {
  readonly dataDir: string
  readonly gateways: readonly string[]
  readonly enrolEndpoint: string
  readonly enrolmentToken: string | undefined
  readonly ops: { readonly host: string; readonly port: number }
  readonly credentials: readonly string[]
  readonly spoolMaxBytes: number
  readonly spoolMaxAgeMilliseconds: number
  readonly auditWaitMilliseconds: number
  readonly maxSessions: number
  readonly drainMilliseconds: number
}

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** @throws {ConfigError} naming every variable that is wrong, never printing a value */
export function readConfig(env: NodeJS.ProcessEnv): AgentConfig {
  const parsed = schema.safeParse(env)
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '))
  }
  const value = parsed.data
  const gateways = list(value.SALLYPORT_AGENT_GATEWAYS)
  for (const gateway of gateways) splitAddress('SALLYPORT_AGENT_GATEWAYS', gateway)
  return {
    dataDir: value.SALLYPORT_AGENT_DATA_DIR,
    gateways,
    enrolEndpoint: value.SALLYPORT_AGENT_ENROL ?? gateways[0] ?? '',
    enrolmentToken: value.SALLYPORT_ENROLMENT_TOKEN ?? readTokenFile(value.SALLYPORT_ENROLMENT_TOKEN_FILE),
    ops: splitAddress('SALLYPORT_AGENT_OPS_LISTEN', value.SALLYPORT_AGENT_OPS_LISTEN),
    credentials: list(value.SALLYPORT_AGENT_CREDENTIALS),
    spoolMaxBytes: value.SALLYPORT_AGENT_SPOOL_MAX_BYTES,
    spoolMaxAgeMilliseconds: value.SALLYPORT_AGENT_SPOOL_MAX_AGE_SECONDS * 1000,
    auditWaitMilliseconds: value.SALLYPORT_AGENT_AUDIT_WAIT_SECONDS * 1000,
    maxSessions: value.SALLYPORT_AGENT_MAX_SESSIONS,
    drainMilliseconds: value.SALLYPORT_AGENT_DRAIN_SECONDS * 1000,
  }
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function splitAddress(variable: string, text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (colon < 1 || !Number.isInteger(port) || port < 0 || port > 65535) throw new ConfigError(`${variable}: must be host:port`)
  return { host: text.slice(0, colon), port }
}

function readTokenFile(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return fs.readFileSync(file, 'utf8').trim()
  } catch {
    // After enrolment the token file may be gone: only a missing identity makes that an error.
    return undefined
  }
}
