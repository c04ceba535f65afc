import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { NotifyService } from './notify.service.js'

/** LISTEN/NOTIFY between replicas. */
@Module({ imports: [DatabaseModule], providers: [NotifyService], exports: [NotifyService] })
export class NotifyModule {}
