/** Whisper and T5, encoder and decoder in one file, built on the spot. */
import { describeFamilies } from '../tools/familySuite.ts';
import { t5, whisper } from '../tools/graphsSpeech.ts';

describeFamilies({
  Whisper: {
    model: whisper,
    family: 'whisper',
    modules: [
      'model.encoder.conv1',
      'model.encoder.layers.0.self_attn.q_proj',
      'model.decoder.layers.1.encoder_attn.k_proj',
      'proj_out',
    ],
    dispatches: 84,
    attention: 6,
  },
  T5: {
    model: t5,
    family: 't5',
    modules: [
      'encoder.block.0.layer.0.SelfAttention.q',
      'decoder.block.0.layer.0.SelfAttention.relative_attention_bias',
      'decoder.block.1.layer.1.EncDecAttention.v',
      'shared',
    ],
    dispatches: 112,
    // The two cross attentions: their mask is no weight.
    attention: 2,
  },
});
