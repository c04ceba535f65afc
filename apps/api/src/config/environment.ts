import { z } from 'zod'

/** The process's environment variables, handed to every room's own schema. */
export const ENVIRONMENT = Symbol('ENVIRONMENT')

export type Environment = Readonly<Record<string, string | undefined>>

/** A setting is missing or wrong. Names the variable and the reason, never the value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Reads one room's settings. Variables that aren't in the schema are ignored; an empty one counts as absent.
 * @throws {ConfigError} with every variable that is wrong
 */
export function readConfig<S extends z.ZodObject>(schema: S, environment: Environment): z.infer<S> {
  const given = Object.fromEntries(Object.keys(schema.shape).map((name) => [name, environment[name] === '' ? undefined : environment[name]]))
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  throw new ConfigError(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '))
}

/** A TCP port; 0 takes a free one. */
export const portSetting = (fallback: number) =>
  z.coerce.number({ error: 'must be a port number' }).int().min(0).max(65535).default(fallback)

export const booleanSetting = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .default('false')
  .transform((text) => text === 'true')
