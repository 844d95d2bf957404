// node finetune.mjs (after npm install papilio-0.1.0.tgz webgpu): fine-tunes a small model with OFT and writes the merged file.
import { writeFile } from 'node:fs/promises';
import { openData, openModel, startRun } from 'papilio';
import { create } from 'webgpu';
import { model as bytes, pictures } from './model.mjs';

const model = await openModel(bytes);
const data = await openData(model, pictures);
const adapter = { peft_type: 'OFT', target_modules: ['fc1'], oft_block_size: 8, modules_to_save: ['fc2'] };
const run = await startRun(model, data, { gpu: create([]), adapter, training: { steps: 40, batchSize: 8 } });
for await (const event of run.train()) console.log(JSON.stringify(event));
const { onnx } = await run.merge();
await writeFile('merged.onnx', onnx);
await run.close();
process.exit();
