import path from 'node:path'
import type { Client } from 'ssh2'
import { TargetPaths } from '../target-paths.js'
import { isCarriable } from './builtins.js'
import { enterDirectory } from './line-text.js'

const maxAnswer = 16 * 1024
const answerMilliseconds = 15_000

/** The directory in which sessions of the account begin; undefined when the target doesn't tell (no sftp). */
export async function homeOf(upstream: Client): Promise<string | undefined> {
  return (await asked(upstream, '.')) ?? undefined
}

/**
 * What a directory is called when no link stands in its path. One that isn't there, or can't be asked for, keeps its name
 * without `.` and `..`: it is decided all the same, so that a denial tells nothing of what there is.
 */
export async function canonicalDirectory(upstream: Client, directory: string): Promise<string> {
  return (await asked(upstream, directory)) ?? path.posix.normalize(directory)
}

async function asked(upstream: Client, directory: string): Promise<string | undefined> {
  const paths = new TargetPaths(upstream)
  try {
    const real = await paths.realpath(directory)
    return isCarriable(real) ? real : undefined
  } catch {
    return undefined
  } finally {
    paths.close()
  }
}

/** Whether the account's shell can enter this directory and is then where it was decided that it would be. */
export function canEnter(upstream: Client, directory: string): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    let status: unknown
    try {
      upstream.exec(enterDirectory(directory), (error, stream) => {
        if (error !== undefined) return resolve(false)
        const timer = setTimeout(() => stream.close(), answerMilliseconds).unref()
        stream.end()
        stream.stderr.resume()
        stream.on('data', (bytes: Buffer) => {
          // What the account's start-up files print stands before it.
          answer = (answer + bytes.toString('utf8')).slice(-maxAnswer)
        })
        stream.on('exit', (code: unknown) => {
          status = code
        })
        stream.on('error', () => resolve(false))
        stream.on('close', () => {
          clearTimeout(timer)
          resolve(status === 0 && answer.trimEnd().split('\n').at(-1) === directory)
        })
      })
    } catch {
      resolve(false)
    }
  })
}
