import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { LocksRepository } from './locks.repository.js'

/** What is locked: for those who must ask. Setting locks is the LocksModule's, which stands on them. */
@Module({ imports: [DatabaseModule], providers: [LocksRepository], exports: [LocksRepository] })
export class LockStoreModule {}
