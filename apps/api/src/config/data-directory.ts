import { accessSync, constants, mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { ConfigError, readConfig, type Environment } from './environment.js'

const schema = z.object({ SALLYPORT_DATA_DIR: z.string().default('./.sallyport') })

/**
 * Where this process keeps files, made if it isn't there. Everything secret in it is 0600; the directory itself lets
 * others pass under root, because the embedded database server then runs as another user below it.
 */
export function dataDirectory(environment: Environment): string {
  const path = resolve(readConfig(schema, environment).SALLYPORT_DATA_DIR)
  try {
    mkdirSync(path, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 })
    accessSync(path, constants.W_OK)
  } catch {
    throw new ConfigError('SALLYPORT_DATA_DIR: the directory can not be made or written')
  }
  return path
}
