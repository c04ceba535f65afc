import type { Client, SFTPWrapper } from 'ssh2'
import type { ScpPaths } from '../transfer/index.js'

const maxPathCharacters = 4096

/** Asks the target what its paths lead to, over an sftp channel of the agent's own, opened when first needed. */
export class TargetPaths implements ScpPaths {
  readonly #upstream: Client
  #sftp: Promise<SFTPWrapper> | undefined

  constructor(upstream: Client) {
    this.#upstream = upstream
  }

  async realpath(path: string): Promise<string> {
    const sftp = await this.#open()
    const full = await ask<string>((done) => sftp.realpath(path, done)).catch(() => undefined)
    if (full !== undefined) return checked(full)
    // What doesn't exist yet: its parent, which must.
    const cut = path.replace(/\/+$/, '').lastIndexOf('/')
    const name = path.replace(/\/+$/, '').slice(cut + 1)
    if (name === '' || name === '.' || name === '..') throw new Error('no such path')
    const parent = checked(await ask<string>((done) => sftp.realpath(cut < 0 ? '.' : path.slice(0, cut) || '/', done)))
    return parent === '/' ? `/${name}` : `${parent}/${name}`
  }

  async isDirectory(path: string): Promise<boolean> {
    const sftp = await this.#open()
    return new Promise((resolve) => {
      sftp.stat(path, (error, stats) => resolve(error === undefined && stats.isDirectory()))
    })
  }

  close(): void {
    this.#sftp?.then(
      (sftp) => sftp.end(),
      () => undefined,
    )
  }

  #open(): Promise<SFTPWrapper> {
    this.#sftp ??= ask<SFTPWrapper>((done) => this.#upstream.sftp(done))
    return this.#sftp
  }
}

/** The target's answer becomes part of a decision: nothing but a plain absolute path is taken. */
function checked(path: string): string {
  if (!path.startsWith('/') || path.length > maxPathCharacters || path.includes('\ufffd')) throw new Error('not a path')
  for (let index = 0; index < path.length; index += 1) if (path.charCodeAt(index) < 32 || path.charCodeAt(index) === 127) throw new Error('not a path')
  return path
}

function ask<T>(begin: (done: (error: Error | undefined, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, value) => (error === undefined || error === null ? resolve(value) : reject(error)))
  })
}
