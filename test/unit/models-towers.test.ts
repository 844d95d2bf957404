/** CLIP's towers, DeiT and DeBERTa, built on the spot. */
import { describeFamilies } from '../tools/familySuite.ts';
import { clipText, clipVision, deberta } from '../tools/graphsTowers.ts';
import { vit } from '../tools/graphsVision.ts';

const clipModules = ['text_model.encoder.layers.0.self_attn.q_proj', 'text_model.embeddings.token_embedding'];

describeFamilies({
  'CLIP, text': {
    model: () => clipText('flattened'),
    family: 'clip',
    modules: [...clipModules, 'text_projection'],
    dispatches: 43,
  },
  'CLIP, text by dynamo': {
    model: () => clipText('GatherND'),
    family: 'clip',
    modules: clipModules,
    dispatches: 46,
  },
  'CLIP, pictures': {
    model: clipVision,
    family: 'clip',
    modules: [
      'vision_model.encoder.layers.1.mlp.fc1',
      'vision_model.embeddings.patch_embedding',
      'visual_projection',
    ],
    dispatches: 36,
  },
  DeiT: {
    model: () => vit(14, 'deit'),
    family: 'deit',
    modules: ['deit.encoder.layer.0.attention.attention.query', 'deit.embeddings', 'classifier'],
    dispatches: 33,
  },
  DeBERTa: {
    model: deberta,
    family: 'deberta-v2',
    modules: ['deberta.encoder.layer.0.attention.self.key_proj', 'deberta.encoder.LayerNorm', 'classifier'],
    dispatches: 86,
    attention: 0,
  },
});
