import { Module } from '@nestjs/common'
import { DocumentsModule } from '../documents/documents.module.js'
import { PoliciesController } from './policies.controller.js'
import { PoliciesService } from './policies.service.js'

/** Resolving and explaining policies. */
@Module({ imports: [DocumentsModule], controllers: [PoliciesController], providers: [PoliciesService], exports: [PoliciesService] })
export class PoliciesModule {}
