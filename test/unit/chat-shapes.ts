/** Chat templates in the shapes that published models have, written for the tests, with what the assistant says in each. */

export interface Shape {
  readonly name: string;
  readonly template: string;
  readonly bos?: string;
  readonly eos: string;
  /** What stands for words in the rendering, with the mark behind it. */
  readonly says: (words: string, isLast: boolean) => string;
  /** The template takes spaces off contents. */
  readonly trims?: boolean;
  readonly refusesSystem?: boolean;
  /** Special tokens beside bos and eos. */
  readonly signs: readonly string[];
}

const loop = (body: string, after = ''): string => `{% for message in messages %}${body}{% endfor %}${after}`;

const CHATML_TURN = `{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}`;
const CHATML_ASK = `{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;
const chatmlSigns = ['<|im_start|>', '<|im_end|>'];
const ends =
  (mark: string, lead = '') =>
  (words: string): string =>
    lead + words + mark;

export const SHAPES: readonly Shape[] = [
  {
    name: 'ChatML',
    template: loop(CHATML_TURN, CHATML_ASK),
    eos: '<|im_end|>',
    signs: chatmlSigns,
    says: ends('<|im_end|>'),
  },
  {
    name: 'Qwen2.5, with a system turn of its own',
    template: `{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
`,
    eos: '<|im_end|>',
    signs: chatmlSigns,
    says: ends('<|im_end|>'),
  },
  {
    name: 'Qwen3, thinking only after the last question',
    template: `{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}`,
    eos: '<|im_end|>',
    signs: chatmlSigns,
    says: (words, isLast) =>
      `${isLast ? `<think>\n\n</think>\n\n${words.replace(/^\n+/, '')}` : words}<|im_end|>`,
  },
  {
    name: 'Llama 2, system text inside the first question',
    template: `{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}`,
    bos: '<s>',
    eos: '</s>',
    trims: true,
    signs: [],
    says: ends(' </s>'),
  },
  {
    name: 'Llama 3',
    template: `{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}`,
    bos: '<|begin_of_text|>',
    eos: '<|eot_id|>',
    trims: true,
    signs: ['<|start_header_id|>', '<|end_header_id|>'],
    says: ends('<|eot_id|>'),
  },
  {
    name: 'Phi-3, the end of text behind the last turn',
    template: `{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\\n' + message['content'] + '<|end|>' + '\\n' + '<|assistant|>' + '\\n'}}{% elif (message['role'] == 'system') %}{{'<|system|>' + '\\n' + message['content'] + '<|end|>' + '\\n'}}{% elif (message['role'] == 'assistant') %}{{message['content'] + '<|end|>' + '\\n'}}{% endif %}{% endfor %}`,
    bos: '<s>',
    eos: '<|endoftext|>',
    signs: ['<|user|>', '<|assistant|>', '<|system|>', '<|end|>'],
    says: ends('<|end|>'),
  },
  {
    name: 'Phi-3.5, eos where no answer is asked for',
    template: loop(
      `{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}`,
      `{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}`,
    ),
    eos: '<|endoftext|>',
    signs: ['<|user|>', '<|assistant|>', '<|system|>', '<|end|>'],
    says: (words, isLast) => `${words}<|end|>${isLast ? '\n<|endoftext|>' : ''}`,
  },
  {
    name: 'Phi-4-mini',
    template: loop(
      `{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not none %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + '<|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}`,
      `{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}`,
    ),
    eos: '<|endoftext|>',
    signs: ['<|user|>', '<|assistant|>', '<|system|>', '<|end|>'],
    says: (words, isLast) => `${words}<|end|>${isLast ? '<|endoftext|>' : ''}`,
  },
  {
    name: 'Gemma, the assistant called model, the system turn inside the first question',
    template: `{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}{%- set loop_messages = messages[1:] -%}{%- else -%}{%- set first_user_prefix = "" -%}{%- set loop_messages = messages -%}{%- endif -%}{%- for message in loop_messages -%}{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}{{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}{%- endif -%}{%- if (message['role'] == 'assistant') -%}{%- set role = "model" -%}{%- else -%}{%- set role = message['role'] -%}{%- endif -%}{{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}{%- if message['content'] is string -%}{{ message['content'] | trim }}{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{%- endif -%}{{ '<end_of_turn>\\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{'<start_of_turn>model\\n'}}{%- endif -%}`,
    bos: '<bos>',
    eos: '<eos>',
    trims: true,
    signs: ['<start_of_turn>', '<end_of_turn>'],
    says: ends('<end_of_turn>'),
  },
  {
    name: 'Mistral v1',
    template: `{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}`,
    bos: '<s>',
    eos: '</s>',
    refusesSystem: true,
    signs: [],
    says: ends('</s>'),
  },
  {
    name: 'Mistral v3, the system text before the last question',
    template: `{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last or loop.index0 == (loop_messages | length) - 2 %}
            {%- if system_message is defined %}
                {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
            {%- else %}
                {{- "[INST] " + message["content"] + "[/INST]" }}
            {%- endif %}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- endif %}
{%- endfor %}
`,
    bos: '<s>',
    eos: '</s>',
    trims: true,
    signs: ['[INST]', '[/INST]'],
    says: ends('</s>'),
  },
  {
    name: 'Zephyr',
    template: `{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}`,
    eos: '</s>',
    signs: [],
    says: ends('</s>'),
  },
  {
    name: 'Vicuna, plain names',
    template: `{{ 'A chat. ' }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + ' ' }}{% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}`,
    eos: '</s>',
    signs: [],
    says: ends('</s>', ' '),
  },
  {
    name: 'DeepSeek-R1, thinking taken out, a prompt that begins it',
    template: `{{ bos_token }}{% set ns = namespace(system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{ ns.system_prompt }}{%- for message in messages %}{%- if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt %}{{'<｜Assistant｜><think>\\n'}}{% endif %}`,
    bos: '<｜begin▁of▁sentence｜>',
    eos: '<｜end▁of▁sentence｜>',
    signs: ['<｜User｜>', '<｜Assistant｜>'],
    says: ends('<｜end▁of▁sentence｜>'),
  },
  {
    name: 'SmolLM2',
    template: `{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are small.<|im_end|>\\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}${CHATML_ASK}`,
    bos: '<|im_start|>',
    eos: '<|im_end|>',
    signs: [],
    says: ends('<|im_end|>'),
  },
  {
    name: 'Granite',
    template: `{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set system_message = "Today's Date: " + strftime_now('%B %d, %Y') + "." %}{%- set loop_messages = messages %}{%- endif %}{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\\n' }}{%- for message in loop_messages %}{{- '<|start_of_role|>' + message['role'] + '<|end_of_role|>' + message['content'] + '<|end_of_text|>\\n' }}{%- if loop.last and add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}{%- endfor %}`,
    eos: '<|end_of_text|>',
    signs: ['<|start_of_role|>', '<|end_of_role|>'],
    says: ends('<|end_of_text|>'),
  },
  {
    name: 'Command R',
    template: `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% if system_message != false %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + system_message + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for message in loop_messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'  + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}`,
    bos: '<BOS_TOKEN>',
    eos: '<|END_OF_TURN_TOKEN|>',
    trims: true,
    signs: ['<|START_OF_TURN_TOKEN|>', '<|USER_TOKEN|>', '<|CHATBOT_TOKEN|>', '<|SYSTEM_TOKEN|>'],
    says: ends('<|END_OF_TURN_TOKEN|>'),
  },
  {
    name: 'OLMo, eos as the one special token',
    template: `{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '<|system|>\\n' + message['content'] + '\\n' }}{% elif message['role'] == 'user' %}{{ '<|user|>\\n' + message['content'] + '\\n' }}{% elif message['role'] == 'assistant' %}{% if not loop.last %}{{ '<|assistant|>\\n'  + message['content'] + eos_token + '\\n' }}{% else %}{{ '<|assistant|>\\n'  + message['content'] + eos_token }}{% endif %}{% endif %}{% if loop.last and add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}{% endfor %}`,
    bos: '<|endoftext|>',
    eos: '<|endoftext|>',
    signs: [],
    says: ends('<|endoftext|>'),
  },
  {
    name: 'turns with {% generation %}, the header inside',
    template: loop(
      `{% if message.role == 'assistant' %}{% generation %}{{ '<|im_start|>assistant\\n' + message.content + '<|im_end|>\\n' }}{% endgeneration %}{% else %}${CHATML_TURN}{% endif %}`,
      CHATML_ASK,
    ),
    eos: '<|im_end|>',
    signs: chatmlSigns,
    says: ends('<|im_end|>'),
  },
  {
    name: 'turns with {% generation %}, the mark outside',
    template: loop(
      `{{ '<|im_start|>' + message.role + '\\n' }}{%- if message.role == 'assistant' -%}{%- generation -%}{{ message.content }}{%- endgeneration -%}{%- else -%}{{ message.content }}{%- endif -%}{{ '<|im_end|>\\n' }}`,
      CHATML_ASK,
    ),
    eos: '<|endoftext|>',
    signs: chatmlSigns,
    says: ends('<|im_end|>'),
  },
  {
    name: 'turns with numbers, by index',
    template: `{% for i in range(messages|length) %}{{ '#' ~ (i + 1) ~ ' ' ~ messages[i].role ~ ': ' ~ messages[i].content.strip() ~ '<|end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '#' ~ (messages|length + 1) ~ ' assistant: ' }}{% endif %}`,
    eos: '<|end|>',
    trims: true,
    signs: [],
    says: ends('<|end|>'),
  },
  {
    name: 'a macro, contents in capitals',
    template: `{% macro turn(role, words) %}[{{ role|upper }}]{{ words | trim | replace('\\t', ' ') }}<|end|>{% endmacro %}{% for m in messages %}{{ turn(m.role, m.content) }}{% endfor %}{% if add_generation_prompt %}[ASSISTANT]{% endif %}`,
    eos: '<|end|>',
    trims: true,
    signs: [],
    says: ends('<|end|>'),
  },
  {
    name: 'pairs of turns in one go of the loop, no header asked for',
    template: `{% for m in messages %}{% if m.role == 'user' %}{{ '<q>' + m.content + '</q>' }}{% set reply = messages[loop.index] if not loop.last else none %}{% if reply %}{{ '<a>' + reply.content + '</a>' }}{% endif %}{% endif %}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}`,
    eos: '</a>',
    refusesSystem: true,
    signs: ['<q>', '</q>', '<a>'],
    says: ends('</a>'),
  },
  {
    name: 'Llama 3.1, a system turn with the date, tools in the first question',
    template: `{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
    {%- endfor %}
{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- else %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" + message.content + "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
`,
    bos: '<|begin_of_text|>',
    eos: '<|eot_id|>',
    trims: true,
    signs: ['<|start_header_id|>', '<|end_header_id|>'],
    says: ends('<|eot_id|>'),
  },
  {
    name: 'Harmony, channels, another mark for the last turn',
    template: `{%- macro turn(role, words, mark) -%}<|start|>{{ role }}{% if role == 'assistant' %}<|channel|>final{% endif %}<|message|>{{ words }}{{ mark }}{%- endmacro -%}
{%- for message in messages -%}
    {%- if message.role == 'assistant' and loop.last and not add_generation_prompt -%}
        {{- turn(message.role, message.content, '<|return|>') -}}
    {%- else -%}
        {{- turn(message.role, message.content, '<|end|>') -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}<|start|>assistant{%- endif -%}`,
    eos: '<|return|>',
    signs: ['<|start|>', '<|channel|>', '<|message|>', '<|end|>'],
    says: (words, isLast) => `<|channel|>final<|message|>${words}${isLast ? '<|return|>' : '<|end|>'}`,
  },
  {
    name: 'OpenChat',
    template: `{{ bos_token }}{% for message in messages %}{{ 'GPT4 Correct ' + message['role'].title() + ': ' + message['content'] + '<|end_of_turn|>'}}{% endfor %}{% if add_generation_prompt %}{{ 'GPT4 Correct Assistant:' }}{% endif %}`,
    bos: '<s>',
    eos: '<|end_of_turn|>',
    signs: [],
    says: ends('<|end_of_turn|>', ' '),
  },
  {
    name: 'Alpaca, no end token at all',
    template: `{% for m in messages %}{% if m.role == 'system' %}{{ m.content + '\\n\\n' }}{% elif m.role == 'user' %}### Instruction:
{{ m.content }}

{% elif m.role == 'assistant' %}### Response:
{{ m.content }}

{% endif %}{% endfor %}{% if add_generation_prompt %}### Response:
{% endif %}`,
    eos: '<|endoftext|>',
    signs: [],
    says: ends('\n\n'),
  },
  {
    name: 'Falcon, an end token behind the last answer only',
    template: `{% for m in messages %}{% if not loop.first %}{{ '\\n' }}{% endif %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}{{ 'User: ' + m.content.strip().replace('\\r\\n', '\\n').replace('\\n\\n', '\\n') }}{% elif m.role == 'assistant' %}{{ 'Falcon: ' + m.content.strip() }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '\\nFalcon:' }}{% else %}{{ eos_token }}{% endif %}`,
    eos: '<|endoftext|>',
    trims: true,
    signs: [],
    says: (words, isLast) => ` ${words}${isLast ? '<|endoftext|>' : ''}`,
  },
  {
    name: 'Nemo, by namespace, the loop over a filtered list',
    template: `{%- if messages[0].role == "system" %}{%- set system_message = messages[0].content %}{%- set loop_messages = messages[1:] %}{%- else %}{%- set loop_messages = messages %}{%- endif %}{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}{%- set ns = namespace(index=0, said='') %}{{- bos_token }}{%- for message in loop_messages %}{%- set ns.said = message.content %}{%- if message.role == "user" %}{%- if message == user_messages[-1] and system_message is defined %}{{- "[INST]" + system_message + "\\n\\n" + ns.said + "[/INST]" }}{%- else %}{{- "[INST]" + ns.said + "[/INST]" }}{%- endif %}{%- else %}{{- ns.said + eos_token }}{%- endif %}{%- set ns.index = ns.index + 1 %}{%- endfor %}`,
    bos: '<s>',
    eos: '</s>',
    signs: ['[INST]', '[/INST]'],
    says: ends('</s>'),
  },
];
