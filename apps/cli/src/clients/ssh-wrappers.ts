import { accessSync, constants, statSync, writeFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

const programs = ['ssh', 'scp', 'sftp'] as const

/**
 * A directory for the front of PATH in which ssh, scp and sftp are told of the configuration file. A program that isn't
 * installed is left out, so that it's missed in the usual way.
 * @param searchPath the PATH in which the real ones are found, now: a wrapper never finds itself
 */
export function writeWrappers(directory: string, configFile: string, searchPath: string): void {
  for (const program of programs) {
    const real = find(program, searchPath)
    if (real === undefined) continue
    writeFileSync(join(directory, program), `#!/bin/sh\nexec ${quoted(real)} -F ${quoted(configFile)} "$@"\n`, { mode: 0o700 })
  }
}

/** One word for a POSIX shell, and for Ansible, which splits like one. */
export function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** rsync(1), `--rsh`: no backslashes; a quote in quotes is doubled. */
export function quotedForRsync(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The first one in PATH, as the shell would find it. Relative entries are left out: what they mean changes with `cd`. */
function find(program: string, searchPath: string): string | undefined {
  for (const directory of searchPath.split(':')) {
    if (!isAbsolute(directory)) continue
    const candidate = join(directory, program)
    try {
      accessSync(candidate, constants.X_OK)
      if (statSync(candidate).isFile()) return candidate
    } catch {
      // Not here.
    }
  }
  return undefined
}
