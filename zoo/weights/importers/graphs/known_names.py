"""Names that the files of other programs may use, one list for each place where a file can name code.

PyTorch, Keras and TensorFlow import or call what a file names. So everything that is not listed here is refused: the
lists hold what computes, and nothing that opens files or runs code of the file.
"""

TORCH_OPERATORS = """
    Bool Float Int IntImplicit ScalarImplicit FloatImplicit __and__ __contains__ __getitem__ __is__ __isnot__
    __not__ __or__ __xor__ __lshift__ __rshift__ __range_length __derive_index _assert_scalar
    _assert_tensor_metadata _convolution _convolution_mode _cast_Float _pack_padded_sequence _pad_packed_sequence
    _native_multi_head_attention _reshape_alias _safe_softmax _softmax _log_softmax _to_copy _unsafe_view
    _shape_as_tensor _scaled_dot_product_flash_attention_for_cpu _native_batch_norm_legit
    _native_batch_norm_legit_no_training _weight_norm _weight_norm_interface _transformer_encoder_layer_fwd
    _infer_size abs absolute acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d
    adaptive_max_pool2d add add_ addbmm addcdiv addcmul addmm addmv alias align_to all alpha_dropout amax amin any
    append arange argmax argmin argsort as_strided as_tensor asin asinh atan atan2 atanh atleast_1d atleast_2d
    avg_pool1d avg_pool2d baddbmm batch_norm bmm bilinear bitwise_and bitwise_not bitwise_or bitwise_xor
    broadcast_tensors broadcast_to bucketize cat cdist ceil ceil_ celu chain_matmul channel_shuffle chunk clamp
    clamp_ clamp_max clamp_min clip clone complex concat concatenate constant_pad_nd contiguous conv1d conv2d
    conv_transpose1d conv_transpose2d convolution copy copy_ cos cosh cosine_similarity cross cudnn_convolution
    cumprod cumsum dense_dim detach detach_ diag diagonal diff dim div div_ divide dropout dropout_ einsum elu elu_
    embedding empty empty_like empty_permuted eq equal erf erf_ erfc exp exp_ exp2 expand expand_as expm1 eye
    feature_alpha_dropout feature_dropout fill fill_ flatten flip fliplr flipud floor floor_ floor_divide floordiv
    fmod format frac frobenius_norm full full_like gather ge gelu gelu_ get glu greater greater_equal group_norm gru
    gru_cell gt hann_window hardshrink hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh hardtanh_ heaviside
    hstack im2col index index_add index_copy index_fill index_put index_put_ index_select instance_norm
    is_floating_point isfinite isinf isnan item items keys kthvalue layer_norm le leaky_relu leaky_relu_ len lerp
    less less_equal lift_fresh lift_fresh_copy linalg_norm linalg_vector_norm linear linspace list log log10 log1p
    log2 log_ log_sigmoid log_softmax logaddexp logcumsumexp logical_and logical_not logical_or logical_xor logit
    logsigmoid logsumexp lstm lstm_cell lt manual_div masked_fill masked_fill_ masked_select matmul max max_pool1d
    max_pool1d_with_indices max_pool2d max_pool2d_with_indices maximum mean median meshgrid min minimum mish mish_
    mm movedim moveaxis mul mul_ multiply mv nan_to_num nanmean nansum narrow native_batch_norm native_dropout
    native_group_norm native_layer_norm ne neg neg_ negative new_empty new_full new_ones new_zeros nonzero norm
    not_equal numel numpy_T one_hot ones ones_like outer pad permute pixel_shuffle positive pow pow_ prelu prod
    quantile rand_like reciprocal reflection_pad1d reflection_pad2d relu relu6 relu6_ relu_ remainder repeat
    repeat_interleave replication_pad1d replication_pad2d reshape reshape_as resolve_conj resolve_neg reverse
    rms_norm rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell roll round rsqrt rsub scalar_tensor
    scaled_dot_product_attention scatter scatter_add scatter_reduce select select_scatter selu selu_ sigmoid
    sigmoid_ sign silu silu_ sin sinh size slice slice_scatter softmax softplus softshrink sort sparse_dim
    special_erf special_expit split split_with_sizes sqrt sqrt_ square squeeze squeeze_ stack std std_mean stft str
    sub sub_ subtract sum sym_numel sym_size sym_storage_offset sym_stride swapaxes swapdims t take take_along_dim
    tan tanh tanh_ tensor tensor_split tensordot threshold threshold_ tile to topk transpose transpose_ tril triu
    trunc type_as unbind unflatten unfold unsafe_chunk unsafe_split unsqueeze unsqueeze_ upsample_linear1d
    upsample_nearest1d upsample_bilinear2d upsample_nearest2d values var var_mean vdot view view_as vstack where
    xlogy zero_ zeros zeros_like
"""
"""Operators aten::NAME of PyTorch, without their overloads."""

TORCHSCRIPT_OPERATORS = """
    NumToTensor is_nested is_quantized is_mkldnn RaiseException TupleConstruct TupleUnpack ListConstruct ListUnpack
    device dtype is_cuda layout max min unchecked_cast annotate requires_grad data type shape
"""
"""Operators prim::NAME of TorchScript."""

TORCHSCRIPT_FUNCTIONS = """
    getattr int float bool str len range annotate uninitialized unchecked_cast isinstance list
"""
"""Functions of TorchScript without a namespace."""

EXPORTED_ARGUMENTS = """
    as_none as_tensor as_tensors as_int as_ints as_float as_floats as_string as_strings as_sym_int as_sym_ints
    as_scalar_type as_memory_format as_layout as_device as_bool as_bools as_sym_bool as_sym_bools as_sym_float
    as_sym_floats as_optional_tensor as_optional_tensors as_complex as_name as_expr as_int_lists as_nested_tensors
"""
"""Kinds of arguments of an operator in a .pt2."""

SIZE_FUNCTIONS = """
    Symbol Add Mul Pow Integer Rational Float Max Min Mod PythonMod FloorDiv CleanDiv CeilDiv ModularIndexing Where
    Eq Ne Lt Le Gt Ge And Or Not Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan
    TruncToInt FloatTrueDiv IntTrueDiv ToFloat CeilToInt FloorToInt RoundToInt
"""
"""Functions in the text of a symbolic size in a .pt2."""

KERAS_LAYERS = """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
    AveragePooling2D AvgPool1D BatchNormalization BatchNormalizationV1 BatchNormalizationV2 Bidirectional
    Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Convolution1D Cropping1D Cropping2D Dense
    DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU EinsumDense Embedding Flatten Functional GRU GRUCell GRUV2
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAvgPool1D GlobalMaxPool1D
    GlobalMaxPooling1D GlobalMaxPooling2D GroupNormalization GroupQueryAttention Identity InputLayer LSTM LSTMCell
    LSTMV2 LayerNormalization LeakyReLU Masking MaxPool1D MaxPooling1D MaxPooling2D Maximum Minimum Model
    MultiHeadAttention Multiply PReLU Permute RMSNormalization RNN ReLU RepeatVector Reshape Rescaling
    SeparableConv1D SeparableConv2D Sequential SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D
    StackedRNNCells Subtract ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D
    ZeroPadding1D ZeroPadding2D
"""
"""Layers of Keras 2 and 3."""

KERAS_OPERATIONS = """
    Abs Absolute All Amax Amin Any Arange Arccos Arcsin Arctan Argmax Argmin AvgPool BatchNorm BroadcastTo Cast Ceil
    Celu Clip Concatenate Conv ConvTranspose Cos Cosh Cumprod Cumsum DepthwiseConv Diff Divide Dot Einsum Elu Equal
    Erf Exp ExpandDims Expm1 Flip Floor FullLike Gelu GetItem Glu Greater GreaterEqual HardSigmoid HardSilu HardTanh
    LeakyRelu Less LessEqual LinalgNorm Log Log10 Log1p Log2 LogSigmoid LogSoftmax Logaddexp LogicalAnd LogicalNot
    LogicalOr Logsumexp Matmul Max MaxPool Maximum Mean Median Min Minimum Mod Moveaxis Multiply NanToNum Negative
    Norm Normalize NotEqual OneHot OnesLike Pad Power Prod Reciprocal Relu Relu6 Repeat Reshape Roll Round Rsqrt
    Selu Sigmoid Sign Silu Sin Sinh Slice Softmax Softplus SoftShrink Softsign Split Sqrt Square Squeeze Stack Std
    Subtract Sum Swapaxes Swish Take TakeAlongAxis Tan Tanh Tensordot Tile TopK Transpose Tril Triu TrueDivide
    Unstack Var Vdot Vstack Where ZerosLike
"""
"""Operations of Keras 3 as nodes of a graph."""

KERAS_SETTINGS = """
    Constant Constraint DTypePolicy FloatDTypePolicy GlorotNormal GlorotUniform HeNormal HeUniform Identity
    IdentityInitializer L1 L1L2 L2 LecunNormal LecunUniform MaxNorm MinMaxNorm NonNeg Ones Orthogonal
    OrthogonalInitializer OrthogonalRegularizer Policy RandomNormal RandomUniform TruncatedNormal UnitNorm
    VarianceScaling Zeros __tensor__ __numpy__ __keras_tensor__ __ellipsis__ __slice__ __tuple__ __bool__ slice
    CompositeTensor TensorShape
"""
"""Settings of layers of Keras, and arrays among their arguments."""

KERAS_ACTIVATIONS = """
    celu elu exponential gelu glu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu softmax softplus softsign sparsemax swish tanh tanh_shrink
"""
"""Activation functions of Keras."""

TENSORFLOW_FUNCTIONS = """
    __operators__.add __operators__.getitem __operators__.mul __operators__.neg __operators__.pow __operators__.sub
    __operators__.truediv __operators__.matmul abs cast clip_by_value concat convert_to_tensor einsum expand_dims
    identity linalg.matmul linalg.l2_normalize math.abs math.add math.add_n math.argmax math.divide math.erf
    math.exp math.expm1 math.greater math.less math.log math.log1p math.maximum math.minimum math.multiply
    math.negative math.pow math.reciprocal math.reduce_all math.reduce_any math.reduce_max math.reduce_mean
    math.reduce_min math.reduce_prod math.reduce_std math.reduce_sum math.reduce_variance math.reduce_logsumexp
    math.rsqrt math.sigmoid math.sign math.softplus math.sqrt math.square math.subtract math.tanh math.truediv
    math.cumsum math.l2_normalize nn.elu nn.gelu nn.leaky_relu nn.log_softmax nn.max_pool1d nn.relu nn.relu6 nn.selu
    nn.silu nn.softmax nn.softplus nn.swish nn.convolution nn.conv1d nn.bias_add ones_like pad repeat reshape
    reverse roll shape slice split squeeze stack strided_slice tile transpose unstack where zeros_like
    compat.v1.shape compat.v1.transpose compat.v1.nn.conv1d compat.v1.gather gather tensordot
"""
"""Functions of TensorFlow that Keras 2 writes into a graph as a TFOpLambda."""

TENSORFLOW_OPERATORS = """
    Abs Add AddN AddV2 All Any ArgMax ArgMin Asin Assert AvgPool AvgPool3D BatchMatMul BatchMatMulV2 BatchMatMulV3
    BatchToSpaceND BiasAdd BitwiseAnd BroadcastArgs BroadcastTo Cast Ceil ClipByValue Concat ConcatV2 Const Conv2D
    Conv2DBackpropInput Cos Cosh Cumprod Cumsum DepthToSpace DepthwiseConv2dNative DivNoNan Einsum Elu
    EmptyTensorList EnsureShape Equal Erf Erfc Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod FusedBatchNorm
    FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual Identity IdentityN If Inv
    InvertPermutation IsFinite IsInf IsNan L2Loss LeakyRelu Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd
    LogicalNot LogicalOr LoopCond MatMul Max MaxPool MaxPoolV2 Maximum Mean Merge Min Minimum MirrorPad Mod Mul
    Multinomial Neg NextIteration NoOp NotEqual OneHot OnesLike Pack Pad PadV2 PartitionedCall Placeholder
    PlaceholderWithDefault Pow PreventGradient Prod Range Rank ReadVariableOp RealDiv Reciprocal Relu Relu6 Reshape
    ResourceGather Reverse ReverseSequence ReverseV2 Round Rsqrt Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin
    Sinh Size Slice Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square SquaredDifference
    Squeeze StatefulPartitionedCall StatelessIf StatelessWhile StopGradient StridedSlice Sub Sum Switch Tan Tanh
    TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGetItem TensorListLength
    TensorListReserve TensorListSetItem TensorListStack Tile TopK TopKV2 Transpose TruncateDiv Unpack VarHandleOp
    VarIsInitializedOp AssignVariableOp Where While Xlogy ZerosLike
"""
"""Operators of TensorFlow in a SavedModel."""
