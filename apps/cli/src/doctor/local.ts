import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { configFiles, readConnection, type Connection, type GlobalOptions } from '../config.js'
import { CliError } from '../errors.js'
import { fail, fine, warn, type Check } from './check.js'

/** The configuration, and who can read what is secret in it. */
export function configuration(options: GlobalOptions, env: NodeJS.ProcessEnv): { readonly checks: readonly Check[]; readonly connection?: Connection } {
  const name = 'configuration'
  try {
    const connection = readConnection(options, env)
    const open = configFiles(options, env).filter(({ path, secret }) => secret && process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
    const checks = open.map(({ path }) => warn(name, `${path} holds a secret and can be read by others`, `chmod 600 ${path}`))
    return { checks: [fine(name, `${connection.url.href}${connection.token === undefined ? '' : ', with an API token'}`), ...checks], connection }
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    return { checks: [fail(name, [error.message, error.details.why].filter((part) => part !== undefined).join(': '), error.details.next ?? 'correct it')] }
  }
}

/** A program that people reach targets with. */
export function program(name: string, args: readonly string[]): Promise<Check> {
  return new Promise((resolve) => {
    execFile(name, args, { timeout: 5000 }, (error, stdout, stderr) => {
      const version = `${stdout}\n${stderr}`.split('\n').find((line) => /\d+\.\d/.test(line))?.trim()
      if (error && 'code' in error && error.code === 'ENOENT') resolve(warn(`program ${name}`, 'not found on PATH', `install ${name}, if you reach targets of its protocol with it`))
      else resolve(version === undefined ? warn(`program ${name}`, 'does not tell its version', `run ${name} ${args.join(' ')}`) : fine(`program ${name}`, version))
    })
  })
}
