import type { Attributes } from './sftp-codec.js'

const maxRemembered = 4096

/**
 * Numbers of users and groups that the client was shown as owners of files. Only their names may be asked for
 * (users-groups-by-id@openssh.com): without this bound a client could list every account of the target.
 */
export class AccountsSeen {
  readonly #users = new Set<number>()
  readonly #groups = new Set<number>()

  note(attributes: Attributes): void {
    if (attributes.uid !== undefined && this.#users.size < maxRemembered) this.#users.add(attributes.uid)
    if (attributes.gid !== undefined && this.#groups.size < maxRemembered) this.#groups.add(attributes.gid)
  }

  cover(uids: readonly number[], gids: readonly number[]): boolean {
    return uids.every((uid) => this.#users.has(uid)) && gids.every((gid) => this.#groups.has(gid))
  }
}
