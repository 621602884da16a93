"""Which pipelines of the zoo can be conditioned, by family, and why the others cannot."""

_BY_FAMILY = {
    "Stable Diffusion 1 and 2": """
        AnimateDiffControlNet AnimateDiffPAG AnimateDiff AnimateDiffSparseControlNet AnimateDiffVideoToVideoControlNet
        AnimateDiffVideoToVideo LatentConsistencyModelImg2Img LatentConsistencyModel StableDiffusionAdapter
        StableDiffusionControlNetImg2Img StableDiffusionControlNetInpaint StableDiffusionControlNetPAGInpaint
        StableDiffusionControlNetPAG StableDiffusionControlNet StableDiffusionDepth2Img StableDiffusionImg2Img
        StableDiffusionInpaint StableDiffusionInstructPix2Pix StableDiffusionPAGImg2Img StableDiffusionPAGInpaint
        StableDiffusionPAG StableDiffusion StableDiffusionUpscale StableUnCLIPImg2Img
    """,
    "LEDITS++": "LEditsPPPipelineStableDiffusion",
    "Stable Diffusion XL": """
        AnimateDiffSDXL StableDiffusionXLAdapter StableDiffusionXLControlNetImg2Img StableDiffusionXLControlNetInpaint
        StableDiffusionXLControlNetPAGImg2Img StableDiffusionXLControlNetPAG StableDiffusionXLControlNet
        StableDiffusionXLControlNetUnionImg2Img StableDiffusionXLControlNetUnionInpaint StableDiffusionXLControlNetUnion
        StableDiffusionXLImg2Img StableDiffusionXLInpaint StableDiffusionXLInstructPix2Pix StableDiffusionXLPAGImg2Img
        StableDiffusionXLPAGInpaint StableDiffusionXLPAG StableDiffusionXL
    """,
    "Stable Diffusion 3": """
        StableDiffusion3ControlNetInpainting StableDiffusion3ControlNet StableDiffusion3Img2Img StableDiffusion3Inpaint
        StableDiffusion3PAGImg2Img StableDiffusion3PAG StableDiffusion3
    """,
    "Flux.1": """
        FluxControlImg2Img FluxControlInpaint FluxControlNetImg2Img FluxControlNetInpaint FluxControlNet FluxControl
        FluxFill FluxImg2Img FluxInpaint FluxKontextInpaint FluxKontext Flux
    """,
    "Stable Diffusion latent upscaler": "StableDiffusionLatentUpscale",
    "Stable Cascade prior": "StableCascadePrior",
    "Stable Cascade decoder": "StableCascadeCombined StableCascadeDecoder",
    "DeepFloyd IF": """
        IFImg2Img IFImg2ImgSuperResolution IFInpainting IFInpaintingSuperResolution IF IFSuperResolution
    """,
    "PixArt": "PixArtAlpha PixArtSigmaPAG PixArtSigma",
    "Allegro": "Allegro",
    "AuraFlow": "AuraFlow",
    "Chroma": "ChromaImg2Img ChromaInpaint Chroma",
    "LTX-Video": "LTXImageToVideo LTX",
    "LTX-Video with conditions": "LTXCondition",
    "Mochi": "Mochi",
    "CogVideoX": """
        CogVideoXFunControl CogVideoXImageToVideo CogVideoX CogVideoXVideoToVideo ConsisID
    """,
    "CogView3+": "CogView3Plus",
    "Cosmos": "Cosmos2TextToImage Cosmos2VideoToWorld CosmosTextToWorld CosmosVideoToWorld",
    "Kandinsky 3": "Kandinsky3Img2Img Kandinsky3",
    "Wan": """
        ChronoEdit Helios HeliosPyramid LucyEdit SkyReelsV2DiffusionForcingImageToVideo SkyReelsV2DiffusionForcing
        SkyReelsV2DiffusionForcingVideoToVideo SkyReelsV2ImageToVideo SkyReelsV2 WanAnimate WanImageToVideo Wan WanVACE
        WanVideoToVideo
    """,
    "AnyFlow": "AnyFlowFAR AnyFlow",
    "Bria 3.2": "Bria",
    "Latte": "Latte",
    "Stable Audio": "StableAudio",
    "HunyuanDiT": "HunyuanDiTControlNet HunyuanDiTPAG HunyuanDiT",
    "PRX": "PRX",
    "Motif-Video": "MotifVideoImage2Video MotifVideo",
    "Stable Audio 3": "StableAudio3AudioToAudio StableAudio3Inpaint StableAudio3",
    "HunyuanVideo": "HunyuanVideo HunyuanSkyreelsImageToVideo HunyuanVideoFramepack",
    "Kandinsky 5 pictures": "Kandinsky5T2I",
    "Kandinsky 5 films": "Kandinsky5T2V Kandinsky5I2V",
    "Kandinsky 6": "Kandinsky6TI2VA",
    "HiDream": "HiDreamImage",
    "HunyuanVideo 1.5": "HunyuanVideo15 HunyuanVideo15ImageToVideo",
    "HunyuanImage 2.1": "HunyuanImage",
    "Qwen-Image 2.1": "QwenImage21",
    "Ovis-Image": "OvisImage",
    "Ernie-Image": "ErnieImage",
    "Krea 2": "Krea2",
    "Nucleus-Image": "NucleusMoEImage",
    "Fibo 2": "BriaFibo2",
    "PRX Pixel": "PRXPixel",
    "HunyuanImage refiner": "HunyuanImageRefiner",
    "LTX-2": """
        LTX2 LTX2ImageToVideo LTX2Condition LTX2InContext LTX2HDR LTX2DFR LTX2DFRTemporalRefine
    """,
    "Cosmos 2.5": "Cosmos2_5_PredictBase Cosmos2_5_Transfer",
    "EasyAnimate": "EasyAnimate EasyAnimateInpaint",
    "Qwen-Image Edit": "QwenImageEdit QwenImageEditInpaint",
    "Qwen-Image Edit Plus": "QwenImageEditPlus",
    "Flux.2": "Flux2",
    "Flux.2 Klein": "Flux2Klein Flux2KleinInpaint Flux2KleinKV",
    "Z-Image": "ZImage ZImageImg2Img ZImageInpaint ZImageControlNet ZImageControlNetInpaint ZImageOmni",
    "Sana": "Sana SanaPAG SanaControlNet SanaSprint SanaSprintImg2Img",
    "Sana video": "SanaVideo SanaImageToVideo",
    "Lumina 2": "Lumina2",
    "CogView4": "CogView4 CogView4Control",
    "Qwen-Image": """
        QwenImage QwenImageImg2Img QwenImageInpaint QwenImageControlNet QwenImageControlNetInpaint
    """,
}  # each name without its end, Pipeline
SUPPORTED: dict[str, str] = {
    name if "Pipeline" in name else f"{name}Pipeline": family
    for family, names in _BY_FAMILY.items()
    for name in names.split()
}

NO_EMBEDDINGS = "its call takes no prompt embeddings"
OTHER = "not built: "
READS_PICTURES = "its language model reads the picture before the prompt, so that the prompt's states depend on it"
KOLORS = "its tokenizer does not tell where in a text its tokens are from"
UNSUPPORTED: dict[str, str] = {
    "AceStepPipeline": NO_EMBEDDINGS,
    "BriaFiboEditPipeline": NO_EMBEDDINGS,
    "BriaFiboPipeline": NO_EMBEDDINGS,
    "DreamLiteMobilePipeline": NO_EMBEDDINGS,
    "DreamLitePipeline": NO_EMBEDDINGS,
    "EasyAnimateControlPipeline": "its call fails in diffusers 0.42, with strings as with embeddings",
    "Ideogram4Pipeline": NO_EMBEDDINGS,
    "JoyImageEditPipeline": READS_PICTURES,
    "JoyImageEditPlusPipeline": READS_PICTURES,
    "KolorsImg2ImgPipeline": KOLORS,
    "KolorsPAGPipeline": KOLORS,
    "KolorsPipeline": KOLORS,
    "LuminaPipeline": OTHER
    + "it fills a negative prompt up to the prompt's length, or cuts it there, and reads what fills up",
    "LDMTextToImagePipeline": NO_EMBEDDINGS,
    "LongCatImageEditPipeline": READS_PICTURES,
    "LongCatImagePipeline": "its call with embeddings counts the prompt's strings all the same, and fails without them",
    "OmniGenPipeline": NO_EMBEDDINGS,
    "SanaWMPipeline": OTHER
    + "it walks through a world along a camera's path, from a picture of one size",
    "AudioLDM2Pipeline": OTHER
    + "a language model goes on from what CLAP and T5 read, and the denoiser reads what it says",
    "BlipDiffusionControlNetPipeline": NO_EMBEDDINGS,
    "FluxPriorReduxPipeline": "it has no denoiser; its results are embeddings",
    "GlmImagePipeline": "its language model samples the picture's tokens from the prompt as text; only what is in quotes is embedded",
    "HunyuanVideoImageToVideoPipeline": READS_PICTURES,
    "Kandinsky5I2IPipeline": "its language model reads the picture after the prompt, and hands over the states of both",
    "KandinskyCombinedPipeline": NO_EMBEDDINGS,
    "KandinskyImg2ImgCombinedPipeline": NO_EMBEDDINGS,
    "KandinskyImg2ImgPipeline": NO_EMBEDDINGS,
    "KandinskyInpaintCombinedPipeline": NO_EMBEDDINGS,
    "KandinskyInpaintPipeline": NO_EMBEDDINGS,
    "KandinskyPipeline": NO_EMBEDDINGS,
    "KandinskyPriorPipeline": NO_EMBEDDINGS,
    "KandinskyV22CombinedPipeline": NO_EMBEDDINGS,
    "KandinskyV22Img2ImgCombinedPipeline": NO_EMBEDDINGS,
    "KandinskyV22InpaintCombinedPipeline": NO_EMBEDDINGS,
    "KandinskyV22PriorEmb2EmbPipeline": NO_EMBEDDINGS,
    "KandinskyV22PriorPipeline": NO_EMBEDDINGS,
    "LEditsPPPipelineStableDiffusionXL": "its call takes edits as embeddings and fails on them in diffusers 0.42",
    "LTXI2VLongMultiPromptPipeline": NO_EMBEDDINGS,
    "LongCatAudioDiTPipeline": NO_EMBEDDINGS,
    "MarigoldDepthPipeline": "it takes no prompt",
    "MarigoldIntrinsicsPipeline": "it takes no prompt",
    "MarigoldNormalsPipeline": "it takes no prompt",
    "QwenImageLayeredPipeline": "where it is given no text it writes a caption of its own, also beside embeddings",
    "ShapEPipeline": NO_EMBEDDINGS,
    "StableUnCLIPPipeline": "its prior reads the prompt as text only",
    "VisualClozeGenerationPipeline": "its call takes no embeddings without a task prompt, and none with one",
    "VisualClozePipeline": "its call takes no embeddings without a task prompt, and none with one",
}

NOTES: dict[str, str] = {
    "ChromaInpaintPipeline": "runs in diffusers 0.42, with strings or without, only after "
    "`pipe.transformer.register_to_config(guidance_embeds=False)`",
    "BriaFibo2Pipeline": 'captions in JSON are full of brackets: condition them with `dialect="plain"`',
    "QwenImageEditPipeline": "its encoder reads the picture too: `conditioner(prompt, image=picture)`, and the call takes `image=` "
    "beside the tensors; so for Inpaint and Plus",
    "ZImageOmniPipeline": "with embeddings it takes no pictures to go by",
    "ConsisIDPipeline": "where OpenCV is not installed, import it from `diffusers.pipelines.consisid.pipeline_consisid`",
    "LEditsPPPipelineStableDiffusion": "its prompts are the edits; call it with `use_intersect_mask=False`, "
    "as its masks of attention ask for strings",
}
