import { Injectable } from '@nestjs/common'
import { groupsOfUser, type GroupDocument, type UserDocument } from '@sallyport/policy'
import { DocumentsService } from '../documents/documents.service.js'
import type { Role } from './principal.js'

/** A person, as User and Group documents describe them now. */
export interface Person {
  readonly name: string
  readonly displayName?: string
  readonly email?: string
  readonly roles: readonly Role[]
  /** Union of the User document's groups and the Group documents that list the user. */
  readonly groups: readonly string[]
  /** Names that the person has elsewhere, by system: `{github: 'octodana'}`. */
  readonly aliases: Readonly<Record<string, string>>
  readonly disabled: boolean
}

/** Who is who. Reads the documents' cache, so an apply changes the answer at once. */
@Injectable()
export class DirectoryService {
  constructor(private readonly documents: DocumentsService) {}

  async find(name: string): Promise<Person | undefined> {
    const user = await this.documents.get('User', name)
    return user && this.#person(user, await this.documents.list('Group'))
  }

  async list(): Promise<Person[]> {
    const groups = await this.documents.list('Group')
    return (await this.documents.list('User')).map((user) => this.#person(user, groups))
  }

  #person(user: UserDocument, groups: readonly GroupDocument[]): Person {
    const { displayName, email, aliases, roles, disabled } = user.spec
    return {
      name: user.name,
      ...(displayName === undefined ? {} : { displayName }),
      ...(email === undefined ? {} : { email }),
      roles,
      groups: groupsOfUser(user.name, [user, ...groups]),
      aliases,
      disabled,
    }
  }
}
