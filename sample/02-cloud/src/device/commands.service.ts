import { Injectable } from '@nestjs/common';
import { SequenceCheck } from '../sequence-check.js';

/** The commands that were obeyed. */
@Injectable()
export class CommandsService extends SequenceCheck {}
